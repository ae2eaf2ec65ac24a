"""The fraud model: one order of its inputs, one verdict in both runtimes, no file unverified."""

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from exercise_04_serving.production.model_file import (
    BRIEFS_INPUTS,
    MANIFEST,
    ONNX,
    PICKLE,
    load_model,
)
from lab.errors import UserError
from lab.feature_store import ServiceDefinition
from tests.exercise_04.saved_model import save_a_model_of

# Not in the alphabet's order: whoever sorts the names somewhere mixes up the inputs.
FEATURES = ["transaction_count_7d", "avg_transaction_amount", "transaction_amount", "chargebacks"]
SERVICE = ServiceDefinition(
    "fraud_detection",
    "v2",
    {
        "users": {"transaction_count_7d": "Int64", "avg_transaction_amount": "Float32"},
        "merchants": {"chargebacks": "Int64", "another": "Int64"},
    },
)
ROWS = 4_000


def draw(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose labels depend on the first and the third input."""
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
    """A saved model's."""
    save(fitted, tmp_path)
    return tmp_path


def save(model: HistGradientBoostingClassifier, folder: Path, threshold: float = 0.4) -> None:
    proof, _ = draw()
    save_a_model_of(model, FEATURES, proof, folder, threshold=threshold, service=SERVICE)


# ---- What serves is what was trained ---------------------------------------------------------

finite = st.floats(0, 1e6, width=32)


@pytest.mark.slow
@hypothesis.settings(deadline=None, derandomize=True, max_examples=80)
@given(rows=arrays(np.float32, st.tuples(st.integers(1, 120), st.just(4)), elements=finite))
def test_any_row_gets_the_probability_that_scikit_learn_gives(
    rows: np.ndarray, fitted: HistGradientBoostingClassifier, shared_folder: Path
) -> None:
    scores = load_model(shared_folder).score(rows)
    assert scores.shape == (len(rows),)
    assert np.abs(scores - fitted.predict_proba(rows)[:, 1]).max() <= 1e-6


@pytest.fixture(scope="module")
def shared_folder(
    fitted: HistGradientBoostingClassifier, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save(fitted, folder)
    return folder


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
    scores = load_model(folder).score(rows)
    assert np.abs(scores - fitted.predict_proba(rows)[:, 1]).max() <= 1e-6


def test_the_inputs_keep_their_order_and_the_threshold_is_the_saved_one(folder: Path) -> None:
    model = load_model(folder, SERVICE)
    assert model.features == tuple(FEATURES)
    assert model.threshold == 0.4


def test_threads_share_a_model(folder: Path) -> None:
    model, (rows, _) = load_model(folder), draw()
    expected = model.score(rows)
    with ThreadPoolExecutor(8) as pool:
        for scores in pool.map(model.score, [rows] * 40):
            np.testing.assert_array_equal(scores, expected)


def test_the_pickle_is_what_the_brief_loads(
    fitted: HistGradientBoostingClassifier, folder: Path
) -> None:
    row = draw(1)[0]
    assert joblib.load(folder / PICKLE).predict_proba(row)[0][1] == fitted.predict_proba(row)[0][1]


# ---- Nothing unverified is loaded ------------------------------------------------------------


@pytest.mark.parametrize("name", [ONNX, PICKLE])
def test_a_changed_file_is_refused(name: str, folder: Path) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} .*checksum differs\n.*lab run 4"):
        load_model(folder)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("sprung"),)


def test_a_pickle_is_never_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    content = pickle.dumps(Trap())
    (folder / PICKLE).write_bytes(content)
    edit_manifest(folder, {ONNX: None, PICKLE: hashlib.sha256(content).hexdigest()})
    load_model(folder)
    assert not Path("sprung").exists()


def edit_manifest(folder: Path, sums: dict[str, str | None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] |= {name: value for name, value in sums.items() if value}
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", [ONNX, PICKLE, MANIFEST])
def test_a_missing_file_says_what_to_run(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=r"(?s)is missing.*lab run 4"):
        load_model(folder)


def test_a_broken_manifest_is_named(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"features": 3}')
    with pytest.raises(UserError, match=f"{MANIFEST} is not a model's manifest"):
        load_model(folder)


def test_an_edited_order_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["features"] = sorted(FEATURES)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="names other inputs than its model"):
        load_model(folder)


def test_a_conflict_is_named_before_the_model_is_parsed(folder: Path) -> None:
    content = b"not a model"
    (folder / ONNX).write_bytes(content)
    edit_manifest(folder, {ONNX: hashlib.sha256(content).hexdigest()})
    with pytest.raises(UserError, match="needs chargebacks, which fraud_detection does not have"):
        load_model(folder, with_merchants({"chargeback_count": "Int64"}))


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        (
            {"views": {"all": {**SERVICE.types, "chargebacks": "Float32"}}},
            "had another type",
        ),
        ({"version": "v3"}, "trained on fraud_detection v2, and fraud_detection v3 is served"),
        ({"name": "fraud"}, "trained on fraud_detection v2, and fraud v2 is served"),
    ],
)
def test_a_model_of_another_service_is_refused(
    service: dict[str, Any], problem: str, folder: Path
) -> None:
    with pytest.raises(UserError, match=rf"(?s){problem}.*lab run 4"):
        load_model(folder, replace(SERVICE, **service))


def with_merchants(features: dict[str, str]) -> ServiceDefinition:
    return replace(SERVICE, views={**SERVICE.views, "merchants": features})


# ---- Missing values --------------------------------------------------------------------------


def test_a_missing_value_of_any_input_gets_scikit_learns_probability(
    fitted: HistGradientBoostingClassifier, folder: Path
) -> None:
    model = load_model(folder)
    for column in range(len(FEATURES)):
        rows, _ = draw()
        rows[:, column] = np.nan
        assert np.abs(model.score(rows) - fitted.predict_proba(rows)[:, 1]).max() <= 2e-5


def test_a_model_without_metadata_gets_the_documented_defaults(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = list(BRIEFS_INPUTS)
    rows = np.random.default_rng(7).random((100, len(inputs))).astype(np.float32)
    fitted = LogisticRegression().fit(rows, rows[:, 0] > 0.5)
    options = {"zipmap": False}
    (tmp_path / ONNX).write_bytes(to_onnx(fitted, rows, options=options).SerializeToString())
    service = replace(SERVICE, views={"all": dict.fromkeys(inputs[:-1], "Float32")})
    model = load_model(tmp_path, service)
    assert "no manifest" in caplog.text
    assert (model.features, model.threshold) == (BRIEFS_INPUTS, 0.5)
    with_hole = np.where(np.arange(len(inputs)) == 3, np.nan, rows).astype(np.float32)
    expected = fitted.predict_proba(np.nan_to_num(with_hole))[:, 1]
    np.testing.assert_allclose(model.score(with_hole), expected, atol=1e-6)
    with pytest.raises(UserError, match="which fraud_detection does not have"):
        load_model(tmp_path, SERVICE)


def test_a_model_that_gives_a_list_of_dictionaries_is_refused(tmp_path: Path) -> None:
    rows = np.random.default_rng(7).random((100, 7)).astype(np.float32)
    fitted = LogisticRegression().fit(rows, rows[:, 0] > 0.5)
    (tmp_path / ONNX).write_bytes(to_onnx(fitted, rows).SerializeToString())
    with pytest.raises(UserError, match="zipmap"):
        load_model(tmp_path)


# ---- Whole or not at all ---------------------------------------------------------------------


def test_runtimes_that_disagree_on_a_verdict_write_nothing(
    fitted: HistGradientBoostingClassifier, folder: Path
) -> None:
    before = contents(folder)
    rows, _ = draw()
    ours, original = load_model(folder).score(rows), fitted.predict_proba(rows)[:, 1]
    between = float(max(ours[ours != original][0], original[ours != original][0]))
    with pytest.raises(ValueError, match=r"differ: .* [1-9]\d* of 4000 verdicts"):
        save(fitted, folder, threshold=between)
    assert contents(folder) == before


def test_a_disk_that_fills_leaves_the_old_model(
    fitted: HistGradientBoostingClassifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, write = contents(folder), Path.write_bytes

    def full(file: Path, content: bytes) -> int:
        if MANIFEST in file.name:
            raise OSError("no space left on device")
        return write(file, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        save(fitted, folder, threshold=0.6)
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}
