"""Serves the model by ONNX Runtime: data instead of a pickle, and less time for a single row.

    python -m exercise_04_serving.production.onnx_model     # after train_model

converts fraud_detector.pkl to fraud_detector.onnx; fraud_detector.sha256 has both checksums.
"""

import hashlib
import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import PICKLE, Model, read_metadata
from exercise_04_serving.train_model import SERVICE, read_rows
from lab.learn import UserError, open_store, run_script, settings

ONNX, CHECKSUMS = "fraud_detector.onnx", "fraud_detector.sha256"
CONVERT = "python -m exercise_04_serving.production.onnx_model"
TOLERANCE = 2e-5  # of probabilities; missing values add rounding
INPUT = "rows"
MISSING_SHARE = 0.1  # of the inputs of the rows on which both runtimes must agree


@dataclass(frozen=True)
class OnnxModel(Model):
    """A model whose classifier is a session of ONNX Runtime; any number of threads may share it."""

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of fraud, (n,), of rows (n, k) in the order of the features."""
        return _score(self.classifier, matrix)


def load_onnx_model(folder: Path, reader: FeatureReader) -> OnnxModel:
    """Load the ONNX model; no pickle is loaded.

    Raises UserError when the model conflicts with the service, or when a file is missing or is not
    the one that was converted.
    """
    metadata = read_metadata(folder, reader)
    file = folder / CHECKSUMS
    if not file.exists() or json.loads(file.read_text()) != checksums(folder):
        raise UserError(f"{folder / ONNX} was not converted from {PICKLE}", CONVERT)
    return OnnxModel(open_session((folder / ONNX).read_bytes()), metadata)


def convert_trained_model() -> None:
    """Convert the model of train_model; it is proved on the rows that it was trained on."""
    metadata = read_metadata(settings.model_dir, FeatureReader(open_store(), SERVICE))
    rows = read_rows([*metadata.features])
    training = rows.loc[rows["split"] == "train", [*metadata.features]]
    convert(settings.model_dir, training.to_numpy())


def convert(folder: Path, rows: NDArray[np.float32]) -> None:
    """Convert the model in a folder; ValueError when both runtimes score the rows differently."""
    classifier = joblib.load(folder / PICKLE)
    content = to_onnx(classifier, rows.shape[1])
    require_same_scores(classifier, open_session(content), rows)
    (folder / ONNX).write_bytes(content)
    (folder / CHECKSUMS).write_text(json.dumps(checksums(folder)))


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of both models by file name."""
    files = (folder / PICKLE, folder / ONNX)
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.exists()}


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """Open a session of one thread: to hand a row to another one takes longer than the row."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])


def to_onnx(classifier: Any, inputs: int) -> bytes:
    """Return the classifier in ONNX's format."""
    from skl2onnx import to_onnx as convert_classifier
    from skl2onnx.common.data_types import FloatTensorType

    rows = [(INPUT, FloatTensorType([None, inputs]))]
    options = {"zipmap": False}
    split = _split_at_float32(classifier)
    return bytes(convert_classifier(split, initial_types=rows, options=options).SerializeToString())


def _split_at_float32(classifier: Any) -> Any:
    """Return boosted trees with float32 borders; any other classifier as it is.

    ONNX rounds a border to the nearest float32, which may be an input's value just above it.
    Rounded down, the border has all float32 inputs on the same sides as before.
    """
    rounded = deepcopy(classifier)
    trees: Iterable[Any] = chain.from_iterable(getattr(rounded, "_predictors", []))
    for tree in trees:
        borders = tree.nodes["num_threshold"]
        nearest = borders.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
        tree.nodes["num_threshold"] = np.where(nearest > borders, below, nearest)
    return rounded


def require_same_scores(
    classifier: Any, session: onnxruntime.InferenceSession, rows: NDArray[np.float32]
) -> None:
    """Raise ValueError unless both runtimes agree, also on rows with missing inputs."""
    is_missing = np.random.default_rng(settings.seed).random(rows.shape) < MISSING_SHARE
    rows = np.concatenate([rows, np.where(is_missing, np.float32(np.nan), rows)])
    ours, original = _score(session, rows), classifier.predict_proba(rows)[:, 1]
    difference = float(np.abs(ours - original).max())
    if difference > TOLERANCE:
        raise ValueError(f"ONNX Runtime and scikit-learn differ by {difference:.2g}")


def _score(session: onnxruntime.InferenceSession, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    *_, probabilities = session.run(None, {INPUT: rows})
    return np.asarray(probabilities)[:, 1].astype(np.float64)


if __name__ == "__main__":
    run_script(convert_trained_model)
