"""Training: the service's features, missing values by the rule, a threshold by alerts a day."""

import re
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training import generate_training_data
from exercise_04_serving import train_model
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import AMOUNT, load_model
from exercise_04_serving.production import evaluation
from exercise_04_serving.production.evaluation import LabelledRows
from exercise_04_serving.production.onnx_model import convert_trained_model
from exercise_04_serving.train_model import (
    ALERT_SHARE,
    LABEL,
    SERVICE,
    choose_threshold,
    read_rows,
    train,
    with_unknown_streaming,
)
from lab.errors import UserError
from lab.learn import open_store
from lab.settings import settings
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size

STREAMING = [
    *("transaction_count_5m", "total_amount_5m", "avg_amount_5m", "max_amount_5m"),
    *("declined_count_5m", "transaction_count_1h", "avg_amount_1h"),
]


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Shop]:
    """Yield a shop with exercise 2's export, large enough to learn from."""
    shop = new_shop(Size(40_000))
    shop.restore()
    with settings_in_force(**shop.settings):
        generate_training_data.main()
        yield shop


@pytest.fixture(scope="module")
def printed(shop: Shop) -> str:
    """Train the shop's model; return the output in one line."""
    with redirect_stdout(StringIO()) as output:
        train_model.main()
    return " ".join(output.getvalue().split())


def reader() -> FeatureReader:
    return FeatureReader(open_store(), SERVICE)


@pytest.fixture
def training(shop: Shop) -> pd.DataFrame:
    rows = read_rows([*reader().features, AMOUNT])
    return rows[rows["split"] == "train"]


# ---- One definition --------------------------------------------------------------------------


def test_the_model_has_the_services_features_and_describes_itself(printed: str) -> None:
    metadata = load_model(settings.model_dir, reader()).metadata
    assert metadata.features == (*reader().features, AMOUNT)
    assert (metadata.service, metadata.service_version) == (SERVICE, "v2")
    found = re.search(r"PR-AUC on .* test rows: ([\d.]+); by chance it is ([\d.]+)", printed)
    assert found
    assert float(found[1]) > 5 * float(found[2])
    assert "of payments raise an alert" in printed
    gain = re.search(r"streaming features add ([\d.]+) \(([\d.]+) to ([\d.]+)\)", printed)
    assert gain
    assert 0 < float(gain[2]) < float(gain[1]) < float(gain[3])


def test_both_runtimes_agree_on_the_trained_model(printed: str) -> None:
    convert_trained_model()


def test_the_evaluation_prints_intervals(printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation.main()
    output = capsys.readouterr().out
    assert "without streaming features" in output
    assert "gain" in output
    assert "alerts a day" in output


def test_a_renamed_feature_is_followed_or_named(
    shop: Shop, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = shutil.copytree(settings.feature_repo, tmp_path / "feature_repo")
    text = (repo / "features.py").read_text()
    renamed = text.replace('"transaction_count_1h"', '"transaction_count_24h"')
    (repo / "features.py").write_text(renamed)
    monkeypatch.syspath_prepend(repo)  # Feast imports from the first repository of the process
    data = shutil.copytree(settings.data_dir, tmp_path / "data")
    models = shutil.copytree(settings.model_dir, tmp_path / "models")
    with settings_in_force(feature_repo=repo, data_dir=data, model_dir=models):
        apply_definitions()
        with pytest.raises(UserError, match=r"(?s)no transaction_count_24h.*lab run 2"):
            train_model.main()
        with pytest.raises(UserError, match="unknown inputs: transaction_count_1h"):
            load_model(models, reader())
        generate_training_data.main()
        train_model.main()
        assert "transaction_count_24h" in load_model(models, reader()).metadata.features


def test_without_training_data_exercise_2_is_named(shop: Shop, tmp_path: Path) -> None:
    with (
        settings_in_force(data_dir=tmp_path),
        pytest.raises(UserError, match=r"(?s)training_data.parquet is missing.*lab run 2"),
    ):
        read_rows([])


def test_too_few_frauds_are_a_users_mistake(training: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="0 frauds among"):
        train(training[STREAMING], training[LABEL] * 0)


# ---- Missing values --------------------------------------------------------------------------


def test_a_dead_pipeline_is_not_taken_for_quiet_users(training: pd.DataFrame) -> None:
    names = [*reader().features, AMOUNT]
    rows = read_rows(names)
    later = rows.loc[rows["split"] != "train", names]
    dead = later.assign(**dict.fromkeys(STREAMING, np.float32(np.nan)))

    def change(learned_from: pd.DataFrame) -> float:
        model = train(learned_from, training[LABEL])
        means = [model.predict_proba(r.to_numpy())[:, 1].mean() for r in (dead, later)]
        return float(means[0] / means[1])

    assert 0.75 < change(with_unknown_streaming(training[names], STREAMING)) < 1.25
    assert change(training[names]) < 0.75


def test_a_tenth_of_the_training_rows_lack_the_whole_streaming_view(
    training: pd.DataFrame,
) -> None:
    inputs = training[[*reader().features, AMOUNT]]
    changed = with_unknown_streaming(inputs, STREAMING)
    unknown = changed[STREAMING].isna().all(axis=1)
    assert unknown.mean() == pytest.approx(0.1, abs=0.01)
    assert changed[~unknown].equals(inputs[~unknown])
    assert changed.drop(columns=STREAMING).equals(inputs.drop(columns=STREAMING))


# ---- The threshold, and intervals by users ---------------------------------------------------


@given(st.sets(st.floats(0, 1, width=16), min_size=200, max_size=400))
def test_the_share_of_alerts_is_the_chosen_one(scores: set[float]) -> None:
    found = np.array(sorted(scores))
    threshold = choose_threshold(found)
    assert (found >= threshold).sum() == pytest.approx(ALERT_SHARE * len(found), abs=1)


def labelled(users: np.ndarray, labels: np.ndarray) -> LabelledRows:
    times = pd.Series(pd.date_range("2026-01-01", periods=len(users), freq="min", tz="UTC"))
    return LabelledRows(users, labels, times)


def test_an_interval_counts_users_and_not_their_rows() -> None:
    """The share of alerts of 400 users: repeating each user's row narrows nothing."""
    random = np.random.default_rng(3)
    is_alert, labels = random.random(400) < 0.3, np.ones(400, dtype=np.int64)
    once = labelled(np.arange(400), labels)
    often = labelled(np.arange(400).repeat(25), labels.repeat(25))

    def share_width(labelled: LabelledRows, alerts: np.ndarray) -> float:
        found = labelled.alerts_per_day(alerts.astype(float), 0.5)
        assert found.low < found.value < found.high
        return (found.high - found.low) / found.value

    expected = 4 / np.sqrt(is_alert.sum())  # a Poisson number's 95 %, in both
    assert share_width(once, is_alert) == pytest.approx(expected, rel=0.25)
    assert share_width(often, is_alert.repeat(25)) == pytest.approx(expected, rel=0.25)


def test_a_gain_is_paired() -> None:
    random = np.random.default_rng(4)
    labels = (random.random(2_000) < 0.2).astype(np.int64)
    rows = labelled(np.arange(2_000), labels)
    good = labels + random.normal(0, 1, 2_000)
    same = rows.pr_auc_gain(good, good)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    gain = rows.pr_auc_gain(good, random.random(2_000))
    assert gain.low > 0
    assert gain.value == pytest.approx(
        rows.pr_auc(good).value - rows.pr_auc(random.random(2_000)).value, abs=0.1
    )


def test_no_claim_on_fewer_than_30_users() -> None:
    labels = np.zeros(1_000, dtype=np.int64)
    labels[:29] = 1
    found = labelled(np.arange(1_000), labels).pr_auc(np.linspace(1, 0, 1_000))
    assert found.value == 1
    assert "too few users" in f"{found}"


def test_without_a_positive_there_is_no_pr_auc() -> None:
    rows = labelled(np.arange(50), np.zeros(50, dtype=np.int64))
    assert rows.pr_auc(np.linspace(0, 1, 50)).value == 0
    assert rows.days == pytest.approx(49 * timedelta(minutes=1) / timedelta(days=1))
