"""Serves the model by ONNX Runtime: data instead of a pickle, and less time for a single row.

    python -m exercise_04_serving.production.onnx_model     # after train_model

converts fraud_detector.pkl to fraud_detector.onnx, and adds both checksums to fraud_detector.json.
"""

import hashlib
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import get_tags

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import (
    METADATA,
    PICKLE,
    TRAINING_INPUTS,
    Metadata,
    Model,
    read_metadata,
)
from lab.learn import UserError, run_script, settings

ONNX = "fraud_detector.onnx"
CONVERT = "python -m exercise_04_serving.production.onnx_model"
TOLERANCE = 2e-5  # of probabilities; missing values add rounding
INPUT = "rows"
PROOF_ROWS = 2_000  # in which each input goes missing in turn


@dataclass(frozen=True)
class OnnxModel(Model):
    """A model whose classifier is a session of ONNX Runtime; any number of threads may share it."""

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of fraud, (n,), of rows (n, k) in the order of the features."""
        rows = matrix if self.metadata.accepts_nan else np.nan_to_num(matrix)
        *_, probabilities = self.classifier.run(None, {INPUT: rows})
        return np.asarray(probabilities)[:, 1].astype(np.float64)


def load_onnx_model(folder: Path, reader: FeatureReader) -> OnnxModel:
    """Load the ONNX model; no pickle is loaded.

    Raises UserError when the model conflicts with the service, or when a file is missing or is not
    the one that was converted.
    """
    if not (folder / METADATA).exists():
        raise UserError(f"there is no model in {folder}", f"lab run 4, then {CONVERT}")
    metadata = read_metadata(folder, reader)
    for name in (PICKLE, ONNX):
        file = folder / name
        if not file.exists() or metadata.sha256.get(name) != checksum(file):
            raise UserError(f"{file} is not the file that was converted", CONVERT)
    return OnnxModel(open_session((folder / ONNX).read_bytes()), metadata)


def convert(folder: Path) -> None:
    """Convert the trained model in a folder; ValueError when both runtimes score differently."""
    if not (folder / METADATA).exists():
        raise UserError(f"there is no model in {folder}", "lab run 4")
    metadata = Metadata.model_validate_json((folder / METADATA).read_bytes())
    classifier = joblib.load(folder / PICKLE)
    rows = pd.read_parquet(folder / TRAINING_INPUTS).to_numpy(np.float32)
    content = to_onnx(classifier, len(metadata.features))
    require_same_scores(classifier, OnnxModel(open_session(content), metadata), rows)
    temp_path = folder / f".{ONNX}"
    temp_path.write_bytes(content)
    temp_path.rename(folder / ONNX)
    sums = {name: checksum(folder / name) for name in (PICKLE, ONNX)}
    temp_path = folder / f".{METADATA}"
    temp_path.write_text(metadata.model_copy(update={"sha256": sums}).model_dump_json(indent=2))
    temp_path.rename(folder / METADATA)


def checksum(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


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


def require_same_scores(classifier: Any, onnx: OnnxModel, rows: NDArray[np.float32]) -> None:
    """Raise ValueError unless both runtimes agree, also on rows with one input missing."""
    if get_tags(classifier).input_tags.allow_nan:
        rows = np.concatenate([rows, _with_each_input_missing(rows[:PROOF_ROWS])])
    ours, original = onnx.score(rows), classifier.predict_proba(rows)[:, 1]
    difference = float(np.abs(ours - original).max())
    if difference > TOLERANCE:
        raise ValueError(f"ONNX Runtime and scikit-learn differ by {difference:.2g}")


def _with_each_input_missing(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a copy of rows (n, k) for each input, without its value: (n·k, k)."""
    copies = np.repeat(rows[None], rows.shape[1], axis=0)
    columns = np.arange(rows.shape[1])
    copies[columns, :, columns] = np.nan
    return copies.reshape(-1, rows.shape[1])


if __name__ == "__main__":
    run_script(lambda: convert(settings.model_dir))
