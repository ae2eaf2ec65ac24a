"""The fraud model: one order of its inputs, one verdict in both runtimes, no file unverified."""

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score

from exercise_04_serving import train_model
from exercise_04_serving.model_file import MANIFEST, ONNX, PICKLE, ModelFile, save_model
from lab.errors import UserError
from lab.settings import settings
from tests.settings_in_force import PointSettings

# Not in the alphabet's order: whoever sorts the names somewhere mixes up the inputs.
FEATURES = ["transaction_count_7d", "avg_transaction_amount", "transaction_amount", "chargebacks"]
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
    save_model(folder, model, FEATURES, threshold=threshold, metrics={"rows": 9}, proof=proof)


# ---- What serves is what was trained ---------------------------------------------------------

finite = st.floats(0, 1e6, width=32)


@pytest.mark.slow
@hypothesis.settings(deadline=None, derandomize=True, max_examples=80)
@given(rows=arrays(np.float32, st.tuples(st.integers(1, 120), st.just(4)), elements=finite))
def test_any_row_gets_the_probability_that_scikit_learn_gives(
    rows: np.ndarray, fitted: HistGradientBoostingClassifier, shared_folder: Path
) -> None:
    scores = ModelFile.load(shared_folder).score(rows)
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
    scores = ModelFile.load(folder).score(rows)
    assert np.abs(scores - fitted.predict_proba(rows)[:, 1]).max() <= 1e-6


def test_the_inputs_keep_their_order_and_the_threshold_is_the_saved_one(folder: Path) -> None:
    model = ModelFile.load(folder, served={*FEATURES, "another"})
    assert model.features == tuple(FEATURES)
    assert model.threshold == 0.4


def test_threads_share_a_model(folder: Path) -> None:
    model, (rows, _) = ModelFile.load(folder), draw()
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
        ModelFile.load(folder)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("sprung"),)


def test_a_pickle_is_never_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    content = pickle.dumps(Trap())
    (folder / PICKLE).write_bytes(content)
    edit_manifest(folder, {ONNX: None, PICKLE: hashlib.sha256(content).hexdigest()})
    ModelFile.load(folder)
    assert not Path("sprung").exists()


def edit_manifest(folder: Path, sums: dict[str, str | None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] |= {name: value for name, value in sums.items() if value}
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", [ONNX, PICKLE, MANIFEST])
def test_a_missing_file_says_what_to_run(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=r"(?s)(is missing|no model).*lab run 4"):
        ModelFile.load(folder)


def test_a_broken_manifest_is_named(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"features": 3}')
    with pytest.raises(UserError, match=f"{MANIFEST} is not a model's manifest"):
        ModelFile.load(folder)


def test_an_edited_order_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["features"] = sorted(FEATURES)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="names other features than its model"):
        ModelFile.load(folder)


def test_an_input_that_is_not_served_is_named_before_the_model_is_parsed(folder: Path) -> None:
    content = b"not a model"
    (folder / ONNX).write_bytes(content)
    edit_manifest(folder, {ONNX: hashlib.sha256(content).hexdigest()})
    with pytest.raises(UserError, match="needs chargebacks, which is not served"):
        ModelFile.load(folder, served=set(FEATURES) - {"chargebacks"})


# ---- Whole or not at all ---------------------------------------------------------------------


def test_runtimes_that_disagree_on_a_verdict_write_nothing(
    fitted: HistGradientBoostingClassifier, folder: Path
) -> None:
    before = contents(folder)
    rows, _ = draw()
    ours, original = ModelFile.load(folder).score(rows), fitted.predict_proba(rows)[:, 1]
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


# ---- Training --------------------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path: Path, point_settings: PointSettings) -> Path:
    """Exercise 2's export, with a column that no row has a value for."""
    inputs, labels = draw()
    point_settings(data_dir=tmp_path, build_dir=tmp_path, model_dir=tmp_path / "models")
    frame = pd.DataFrame(inputs, columns=FEATURES).assign(empty=np.nan)
    parts = {"train": slice(2000), "val": slice(2000, 3000), "test": slice(3000, None)}
    for name, part in parts.items():
        frame[part].to_parquet(tmp_path / f"X_{name}.parquet")
        pd.DataFrame({"is_fraud": labels[part]}).to_parquet(tmp_path / f"y_{name}.parquet")
    return tmp_path


def test_training_writes_a_model_that_knows_more_than_chance(exported: Path) -> None:
    train_model.main()
    manifest = ModelFile.read(settings.model_dir)
    assert manifest.features == tuple(FEATURES)
    assert manifest.metrics["pr_auc"] > 2 * manifest.metrics["chance"]
    assert manifest.metrics["rows"] == 1000
    scores = ModelFile.load(settings.model_dir).score(draw()[0][3000:])
    verdicts, labels = scores >= manifest.threshold, draw()[1][3000:]
    assert manifest.metrics["recall"] == verdicts[labels == 1].mean()
    assert manifest.metrics["precision"] == labels[verdicts].mean()


def test_the_threshold_has_the_best_f1_and_no_row_lies_on_it(
    fitted: HistGradientBoostingClassifier,
) -> None:
    split = train_model.Split(*draw())
    scores = fitted.predict_proba(split.rows)[:, 1]
    chosen = train_model.choose_threshold(fitted, split)
    candidates = np.quantile(scores, np.linspace(0, 1, 200))
    best = max(f1_score(split.labels, scores >= candidate) for candidate in candidates)
    assert f1_score(split.labels, scores >= chosen) >= best
    assert np.abs(scores - chosen).min() > 0


def test_a_validation_split_without_fraud_leaves_the_briefs_threshold(
    fitted: HistGradientBoostingClassifier,
) -> None:
    rows, labels = draw()
    split = train_model.Split(rows, np.zeros_like(labels))
    assert train_model.choose_threshold(fitted, split) == 0.5


@pytest.mark.filterwarnings("error")
def test_a_test_split_without_fraud_shows_nothing_and_says_so_quietly(
    fitted: HistGradientBoostingClassifier,
) -> None:
    rows, labels = draw()
    shown = train_model.evaluate(fitted, 0.5, train_model.Split(rows, np.zeros_like(labels)))
    assert shown == {
        "rows": len(rows),
        "chance": 0,
        "pr_auc": 0,
        "precision": 0,
        "recall": 0,
    }


def test_too_few_frauds_are_a_users_mistake(exported: Path) -> None:
    pd.DataFrame({"is_fraud": np.zeros(2000)}).to_parquet(exported / "y_train.parquet")
    with pytest.raises(UserError, match="0 positives among 2000 rows are too few"):
        train_model.main()
    assert not settings.model_dir.exists()


def test_without_training_data_exercise_2_is_named(exported: Path) -> None:
    (exported / "X_train.parquet").unlink()
    with pytest.raises(UserError, match=r"(?s)X_train.parquet is missing.*lab run 2"):
        train_model.main()
