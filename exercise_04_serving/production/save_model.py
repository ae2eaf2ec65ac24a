"""Saves a model in the form that serves, after both runtimes gave the same scores."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.metadata import version
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import get_tags

from exercise_04_serving.production.model_file import (
    MANIFEST,
    ONNX,
    PICKLE,
    TRAINING_INPUTS,
    ModelFile,
    ScoringModel,
)
from lab.feature_store import ServiceDefinition
from lab.settings import utc_now

TOLERANCE = 2e-5  # of probabilities; missing values add rounding
INPUT = "rows"
PACKAGES = ("scikit-learn", "joblib", "skl2onnx", "onnx", "onnxruntime")
PROOF_ROWS = 2_000  # in which each input goes missing in turn


def save_model(
    folder: Path,
    model: Any,
    service: ServiceDefinition,
    training_inputs: pd.DataFrame,
    *,
    threshold: float,
    never_missing: Sequence[str],
    metrics: Mapping[str, float],
    proof: NDArray[np.float32],
) -> ScoringModel:
    """Write a fitted classifier, whole or not at all; return the model that will serve.

    The columns of `training_inputs` are the model's inputs in their order. On the rows of `proof`,
    (n, k) float32, both runtimes must give the same verdicts, and probabilities within TOLERANCE;
    otherwise ValueError is raised and nothing is written.
    """
    features = tuple(training_inputs.columns)
    accepts_nan = bool(get_tags(model).input_tags.allow_nan)
    onnx = _to_onnx(model, features)
    scoring = ScoringModel(onnx, threshold, accepts_nan=accepts_nan)
    _require_same_scores(model, scoring, proof)
    pickled, inputs = BytesIO(), BytesIO()
    joblib.dump(model, pickled)
    training_inputs.to_parquet(inputs, index=False)
    contents = {ONNX: onnx, PICKLE: pickled.getvalue(), TRAINING_INPUTS: inputs.getvalue()}
    manifest = ModelFile(
        service=service.name,
        service_version=service.version,
        features=features,
        types={name: kind for name, kind in service.types.items() if name in features},
        threshold=threshold,
        accepts_nan=accepts_nan,
        never_missing=tuple(never_missing),
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
    verdicts = (ours >= scoring.threshold) != (original >= scoring.threshold)
    apart = float(np.abs(ours - original).max())
    if scoring.accepts_nan:
        holes = _with_each_input_missing(rows[:PROOF_ROWS])
        of_holes = np.abs(scoring.score(holes) - model.predict_proba(holes)[:, 1])
        apart = max(apart, float(of_holes.max()))
    if apart > TOLERANCE or verdicts.any():
        raise ValueError(
            f"ONNX Runtime and scikit-learn differ: by {apart:.2g} at most, "
            f"in {verdicts.sum()} of {len(rows)} verdicts"
        )


def _with_each_input_missing(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows (n, k), then as many for each input without its value: (n + n·k, k)."""
    copies = np.repeat(rows[None], rows.shape[1], axis=0)
    columns = np.arange(rows.shape[1])
    copies[columns, :, columns] = np.nan
    return np.concatenate([rows, copies.reshape(-1, rows.shape[1])])


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write temporary files, then rename them, the manifest last: until then the rest is void."""
    folder.mkdir(parents=True, exist_ok=True)
    temp_paths = {name: folder / f".{name}.new" for name in contents}
    try:
        for name, content in contents.items():
            temp_paths[name].write_bytes(content)
        for name, file in temp_paths.items():
            file.rename(folder / name)
    finally:
        for file in temp_paths.values():
            file.unlink(missing_ok=True)
