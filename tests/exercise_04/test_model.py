"""The fraud model: one order of its inputs, the same scores in both runtimes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from exercise_04_serving.app.model import AMOUNT, PICKLE, Metadata, Model, load_model, save_model
from exercise_04_serving.production import onnx_model
from exercise_04_serving.production.onnx_model import (
    CHECKSUMS,
    ONNX,
    checksums,
    convert,
    load_onnx_model,
)
from lab.learn import UserError

FEATURES = ["transaction_count_7d", "avg_transaction_amount", AMOUNT, "chargebacks"]
ROWS = 4_000


def reader(**changes: Any) -> Any:
    """Return the definition of a feature service, which a model is compared with."""
    service = {"name": "fraud_detection", "version": "v2", "features": [*FEATURES, "another"]}
    return SimpleNamespace(**service | changes)


def draw(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows whose labels depend on the first and the third input."""
    random = np.random.default_rng(7)
    inputs = random.gamma(1.0, 30.0, (rows, len(FEATURES))).astype(np.float32)
    chance = 1 / (1 + np.exp(4 - 0.03 * inputs[:, 2] + 0.02 * inputs[:, 0]))
    return inputs, (random.random(rows) < chance).astype(np.int64)


@pytest.fixture(scope="module")
def fitted() -> HistGradientBoostingClassifier:
    inputs, labels = draw()
    model = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=1)
    return model.fit(inputs, labels)


@pytest.fixture
def folder(fitted: HistGradientBoostingClassifier, tmp_path: Path) -> Path:
    """Return the folder of a saved and converted model."""
    metadata = Metadata(
        service="fraud_detection", service_version="v2", features=tuple(FEATURES), threshold=0.4
    )
    save_model(tmp_path, Model(fitted, metadata))
    convert(tmp_path, draw()[0])
    return tmp_path


def test_a_value_on_a_trees_border_goes_the_same_way(
    fitted: HistGradientBoostingClassifier, folder: Path
) -> None:
    trees = [tree for (tree,) in fitted._predictors]
    borders = np.concatenate([tree.nodes["num_threshold"][:-1] for tree in trees])
    columns = np.concatenate([tree.nodes["feature_idx"][:-1] for tree in trees])
    rows = np.tile(draw(1)[0], (3 * len(borders), 1))
    nearest = borders.astype(np.float32)
    near = np.concatenate([nearest, *(np.nextafter(nearest, np.float32(end)) for end in (0, 1e9))])
    rows[np.arange(len(rows)), np.tile(columns, 3)] = near
    scores = load_onnx_model(folder, reader()).score(rows)
    assert np.abs(scores - fitted.predict_proba(rows)[:, 1]).max() <= 1e-6


def test_without_a_model_the_next_command_is_named(tmp_path: Path) -> None:
    for load in (load_model, load_onnx_model):
        with pytest.raises(UserError, match=r"(?s)there is no model in .*lab run 4"):
            load(tmp_path, reader())


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ({"features": ["another"]}, "unknown inputs: transaction_count_7d"),
        ({"version": "v3"}, "on fraud_detection v2, not on fraud_detection v3"),
        ({"name": "fraud"}, "on fraud_detection v2, not on fraud v2"),
    ],
)
def test_a_model_of_another_service_is_refused(
    service: dict[str, Any], problem: str, folder: Path
) -> None:
    for load in (load_model, load_onnx_model):
        with pytest.raises(UserError, match=rf"(?s){problem}.*lab run 4"):
            load(folder, reader(**service))


# ---- Production: nothing unverified is loaded ------------------------------------------------


@pytest.mark.parametrize("name", [ONNX, PICKLE])
def test_a_changed_file_is_refused(name: str, folder: Path) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"(?s)was not converted from.*onnx_model"):
        load_onnx_model(folder, reader())


def test_the_service_loads_no_pickle(folder: Path) -> None:
    (folder / PICKLE).write_bytes(b"no pickle")
    (folder / CHECKSUMS).write_text(json.dumps(checksums(folder)))
    load_onnx_model(folder, reader())


def test_runtimes_that_disagree_write_nothing(
    fitted: HistGradientBoostingClassifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    monkeypatch.setattr(onnx_model, "TOLERANCE", 0)
    with pytest.raises(ValueError, match="scikit-learn differ by"):
        convert(folder, draw()[0])
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
