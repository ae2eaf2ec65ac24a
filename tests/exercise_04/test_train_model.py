"""Training: the service's features, missing values by the rule, a threshold by alerts a day."""

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
from exercise_04_serving.production import train_model
from exercise_04_serving.production.evaluation import LabelledRows
from exercise_04_serving.production.model_file import TRAINING_INPUTS, ModelFile, load_model
from exercise_04_serving.production.train_model import (
    TRAINING_DATA,
    choose_threshold,
    probabilities,
    read_splits,
    train,
    usable_inputs,
    with_unknown_streaming,
)
from lab.errors import UserError
from lab.feature_store import ServiceDefinition, open_store, service_definition
from lab.settings import settings
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size

STREAMING = [
    *("transaction_count_5m", "total_amount_5m", "avg_amount_5m", "max_amount_5m"),
    *("declined_count_5m", "transaction_count_1h", "avg_amount_1h"),
]


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Shop]:
    """A shop with exercise 2's export, large enough to learn from."""
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


def service() -> ServiceDefinition:
    return service_definition(open_store(), "fraud_detection")


# ---- One definition --------------------------------------------------------------------------


def test_the_model_has_the_services_features_and_describes_itself(printed: str) -> None:
    manifest = ModelFile.read(settings.model_dir)
    assert manifest.features == (*service().types, "transaction_amount")
    assert (manifest.service, manifest.service_version) == ("fraud_detection", "v2")
    assert manifest.types == service().types
    assert manifest.accepts_nan
    assert set(STREAMING).isdisjoint(manifest.never_missing)
    assert "transaction_amount" in manifest.never_missing
    assert manifest.metrics["pr_auc"] > 5 * manifest.metrics["chance"]
    load_model(settings.model_dir, service())
    assert "without streaming features 0." in printed
    assert "with streaming features 0." in printed
    assert "alerts a day" in printed


def test_the_training_inputs_lie_beside_the_model_in_its_order(printed: str) -> None:
    reference = pd.read_parquet(settings.model_dir / TRAINING_INPUTS)
    assert tuple(reference) == ModelFile.read(settings.model_dir).features
    table = pd.read_parquet(settings.data_dir / TRAINING_DATA)
    assert len(reference) == (table["split"] == "train").sum()


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
        with pytest.raises(UserError, match="needs transaction_count_1h, which fraud"):
            load_model(models, service())
        generate_training_data.main()
        train_model.main()
        assert "transaction_count_24h" in load_model(models, service()).features


def test_without_training_data_exercise_2_is_named(shop: Shop, tmp_path: Path) -> None:
    with (
        settings_in_force(data_dir=tmp_path),
        pytest.raises(UserError, match=rf"(?s){TRAINING_DATA} is missing.*lab run 2"),
    ):
        read_splits(ServiceDefinition("fraud_detection", "v2", {}))


def test_an_input_of_nothing_but_nan_is_dropped_and_named(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    training = read_splits(service())["train"]
    empty = training.inputs.assign(chargeback_rate=np.nan)
    inputs = usable_inputs(train_model.Split(empty, training.labelled))
    assert "chargeback_rate" not in inputs
    assert len(inputs) == len(training.inputs.columns) - 1
    assert "without any value: chargeback_rate" in capsys.readouterr().out


def test_too_few_frauds_are_a_users_mistake(shop: Shop) -> None:
    inputs = read_splits(service())["train"].inputs
    with pytest.raises(UserError, match="0 positives among"):
        train(inputs, np.zeros(len(inputs), dtype=np.int64))


# ---- Missing values --------------------------------------------------------------------------


def test_a_dead_pipeline_is_not_taken_for_quiet_users(shop: Shop) -> None:
    splits = read_splits(service())
    training, later = splits["train"], pd.concat([splits["val"].inputs, splits["test"].inputs])
    dead = later.assign(**dict.fromkeys(STREAMING, np.nan))

    def change(learned_from: pd.DataFrame) -> float:
        model = train(learned_from, training.labels)
        return float(probabilities(model, dead).mean() / probabilities(model, later).mean())

    assert 0.75 < change(with_unknown_streaming(training.inputs, STREAMING)) < 1.25
    assert change(training.inputs) < 0.75


def test_a_tenth_of_the_training_rows_lack_the_whole_streaming_view(shop: Shop) -> None:
    inputs = read_splits(service())["train"].inputs
    changed = with_unknown_streaming(inputs, STREAMING)
    unknown = changed[STREAMING].isna().all(axis=1)
    assert unknown.mean() == pytest.approx(0.1, abs=0.01)
    assert changed[~unknown].equals(inputs[~unknown])
    assert changed.drop(columns=STREAMING).equals(inputs.drop(columns=STREAMING))


# ---- The threshold, and intervals by users ---------------------------------------------------

scores = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=200)


@given(scores=scores)
def test_no_more_alerts_than_the_share_and_no_score_on_the_threshold(scores: list[float]) -> None:
    found = np.array(scores)
    threshold = choose_threshold(found)
    assert threshold not in found or len(set(scores)) == 1
    allowed = settings.alert_share * len(found)
    alerts = (found >= threshold).sum()
    if len(set(scores)) == 1:
        assert threshold == 0.5
    elif (found == found.max()).sum() <= allowed:
        assert alerts <= allowed
        lower = found[found < threshold]
        assert (found >= lower.max()).sum() > allowed
    else:
        assert alerts == (found == found.max()).sum()


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
