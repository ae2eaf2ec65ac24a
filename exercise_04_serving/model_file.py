"""The files of a trained model, and the model that serves from them.

    fraud_detector.onnx    what is served: data for ONNX Runtime, no code
    fraud_detector.pkl     the scikit-learn model, by joblib, for whoever wants to look into it
    fraud_detector.json    the manifest: inputs in their order, threshold, checksums, metrics

A pickle runs code when it is loaded, so the service never loads one.
"""

import hashlib
import platform
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from lab.errors import UserError
from lab.settings import utc_now

NAME = "fraud_detector"
MANIFEST, ONNX, PICKLE = f"{NAME}.json", f"{NAME}.onnx", f"{NAME}.pkl"
RETRAIN = "lab run 4"
TOLERANCE = 1e-6
INPUT, OUTPUT = "rows", "probabilities"
PACKAGES = ("scikit-learn", "joblib", "skl2onnx", "onnx", "onnxruntime")


class ScoringModel:
    """Scores rows on one thread; any number of threads may share it.

    `features` are the inputs in their order, `threshold` is the probability from which a payment
    counts as fraud.
    """

    def __init__(self, onnx: bytes, threshold: float) -> None:
        options = onnxruntime.SessionOptions()
        # A row takes microseconds: handing it to another thread would take longer.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"])
        named = self._session.get_modelmeta().custom_metadata_map["features"]
        self.features: tuple[str, ...] = tuple(named.split(","))
        self.threshold = threshold

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of fraud, (n,) float32, of rows (n, k) float32 in the features' order."""
        (probabilities,) = self._session.run([OUTPUT], {INPUT: rows})
        return np.asarray(probabilities)[:, 1]


class ModelFile(BaseModel):
    """The manifest: what is known of a model without loading it."""

    model_config = ConfigDict(frozen=True)

    features: tuple[str, ...]
    threshold: float
    metrics: dict[str, float]
    trained_at: datetime
    versions: dict[str, str]
    sha256: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "ModelFile":
        """The manifest in `folder`; UserError when there is none, or it is not one."""
        file = folder / MANIFEST
        if not file.exists():
            raise UserError(f"there is no model in {folder}", RETRAIN)
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise UserError(f"{file} is not a model's manifest: {error}", RETRAIN) from error

    @classmethod
    def load(cls, folder: Path, served: Collection[str] | None = None) -> ScoringModel:
        """The model in `folder`, whose inputs must all be among the `served` features.

        UserError when a file is missing or is not the one that was saved, or when an input is not
        served. Nothing but the manifest is parsed before both are known.
        """
        manifest = cls.read(folder)
        sums = manifest.sha256
        contents = {name: _verified(folder / name, sums.get(name)) for name in (ONNX, PICKLE)}
        unknown = set(manifest.features) - set(manifest.features if served is None else served)
        if unknown:
            raise UserError(
                f"the model in {folder} needs {', '.join(sorted(unknown))}, which is not served",
                RETRAIN,
            )
        model = ScoringModel(contents[ONNX], manifest.threshold)
        if model.features != manifest.features:
            raise UserError(f"{folder / MANIFEST} names other features than its model", RETRAIN)
        return model


def _verified(file: Path, sha256: str | None) -> bytes:
    """The file's content; UserError unless it has that checksum."""
    if not file.exists():
        raise UserError(f"{file} is missing beside its manifest", RETRAIN)
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{file} is not the file that was saved: its checksum differs", RETRAIN)
    return content


def save_model(
    folder: Path,
    model: Any,
    features: Sequence[str],
    *,
    threshold: float,
    metrics: Mapping[str, float],
    proof: NDArray[np.float32],
) -> ScoringModel:
    """Write a fitted scikit-learn classifier, whole or not at all; the model that will serve.

    On the rows of `proof`, (n, k) float32, both must give the same verdicts and probabilities
    within TOLERANCE; ValueError otherwise, and nothing is written.
    """
    onnx = _to_onnx(model, features)
    scoring = ScoringModel(onnx, threshold)
    _require_same_scores(model, scoring, proof)
    pickled = BytesIO()
    joblib.dump(model, pickled)
    contents = {ONNX: onnx, PICKLE: pickled.getvalue()}
    manifest = ModelFile(
        features=tuple(features),
        threshold=threshold,
        metrics=dict(metrics),
        trained_at=utc_now(),
        versions={"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        sha256={name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
    )
    _write(folder, {**contents, MANIFEST: manifest.model_dump_json(indent=2).encode() + b"\n"})
    return scoring


def _to_onnx(model: Any, features: Sequence[str]) -> bytes:
    """The classifier as ONNX, which also holds the names of its inputs."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    rows = [(INPUT, FloatTensorType([None, len(features)]))]
    converted = to_onnx(_split_at_float32(model), initial_types=rows, options={"zipmap": False})
    converted.metadata_props.add(key="features", value=",".join(features))
    return bytes(converted.SerializeToString())


def _split_at_float32(model: Any) -> Any:
    """Boosted trees whose borders are float32; any other classifier as it is.

    ONNX rounds a border to the nearest float32, which may be an input's value just above it.
    Rounded down, the border has all float32 inputs on the same sides as before.
    """
    rounded = deepcopy(model)
    for tree in chain.from_iterable(getattr(rounded, "_predictors", [])):
        borders = tree.nodes["num_threshold"]
        nearest = borders.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
        tree.nodes["num_threshold"] = np.where(nearest > borders, below, nearest)
    return rounded


def _require_same_scores(model: Any, scoring: ScoringModel, rows: NDArray[np.float32]) -> None:
    ours, original = scoring.score(rows), model.predict_proba(rows)[:, 1]
    apart = float(np.abs(ours - original).max())
    verdicts = (ours >= scoring.threshold) != (original >= scoring.threshold)
    if apart > TOLERANCE or verdicts.any():
        raise ValueError(
            f"ONNX Runtime and scikit-learn differ: by {apart:.2g} at most, "
            f"in {verdicts.sum()} of {len(rows)} verdicts"
        )


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files beside, then rename them, the last one last: until then the rest is void."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = {name: folder / f".{name}.new" for name in contents}
    try:
        for name, content in contents.items():
            beside[name].write_bytes(content)
        for name, file in beside.items():
            file.rename(folder / name)
    finally:
        for file in beside.values():
            file.unlink(missing_ok=True)
