"""The leakage experiment: its replay sees what Redis contained, leaks are found."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from exercise_02_pit_training.production.leakage import VariantResult, compare_variants
from exercise_02_pit_training.production.variants import feature_tables, training_variants
from lab.settings import settings
from tests.settings_in_force import PointSettings
from tests.shop import NewShop, Size

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = pd.Timedelta(days=1)


def test_the_replay_sees_only_what_the_last_run_wrote(
    new_shop: NewShop, point_settings: PointSettings
) -> None:
    """A snapshot of 10:00 that arrived at 10:20 is served from the run of 11:00 on."""
    small = new_shop(Size())
    small.restore()
    point_settings(**small.settings)
    table = small.data / "merchant_stats.parquet"
    known = pd.read_parquet(table)
    ten = pd.Timestamp("2026-05-20 10:00", tz="UTC")
    planted = known[:1].assign(
        merchant_id="planted",
        event_timestamp=ten,
        created_timestamp=ten + pd.Timedelta(minutes=20),
        total_transactions_30d=41,
    )
    pd.concat([known, planted]).to_parquet(table, index=False)
    minutes = [10, 20, 59, 60, 61]
    rows = pd.DataFrame(
        {
            "user_id": "nobody",
            "merchant_id": "planted",
            "event_timestamp": [ten + pd.Timedelta(minutes=m) for m in minutes],
            "transaction_amount": 10.0,
        }
    )
    tables = feature_tables(rows)
    totals = {name: table["total_transactions_30d"] for name, table in tables.items()}
    seen = {name: total.eq(41).fillna(False).tolist() for name, total in totals.items()}
    assert seen == {
        "latest": [True] * 5,
        "event time": [True] * 5,
        "point in time": [False, True, True, True, True],
        "served": [False, False, False, False, True],
    }


def test_a_fraud_reported_after_the_cutoff_is_trained_on_as_honest() -> None:
    rows = shop()
    cutoff = rows["event_timestamp"].quantile(0.7)
    late = (rows["event_timestamp"] < cutoff - 2 * settings.label_maturity) & (rows.index % 2 == 0)
    rows.loc[late & (rows["label"] == 1), "label_timestamp"] = cutoff + DAY
    _, by_event_time, as_known, at_random = training_variants(rows, cutoff)
    trained, labels = rows[as_known.train], as_known.labels(rows)[as_known.train]
    assert (trained["event_timestamp"] < cutoff - settings.label_maturity).all()
    reported = trained["label_timestamp"] <= cutoff
    assert 0 < labels.sum() == trained["label"][reported].sum() < trained["label"].sum()
    assert by_event_time.labels(rows).equals(rows["label"])
    assert at_random.train.equals(as_known.train)


# ---- The comparison, on planted features ---------------------------------------------------------


def shop(number: int = 6_000) -> pd.DataFrame:
    """A burst of five payments per user, over 100 days; a tenth are fraud, found in a day."""
    random = np.random.default_rng(3)
    burst = np.sort(random.uniform(0, 100, number // 5)).repeat(5)
    time = pd.Timestamp(START) + pd.to_timedelta(burst, unit="D")
    label = (random.random(number // 5) < 0.1).repeat(5).astype("int64")
    known_after = [DAY if fraud else settings.label_maturity for fraud in label]
    return pd.DataFrame(
        {
            "user_id": np.arange(number) // 5,
            "event_timestamp": time,
            "label": label,
            "label_timestamp": time + pd.to_timedelta(known_after),
        }
    )


def compared(rows: pd.DataFrame, **leaks: pd.Series) -> dict[str, VariantResult]:
    """Return results by variant; all tables hold an honest hint and one input from `leaks`."""
    random = np.random.default_rng(4)
    hint = rows["label"] + random.normal(0, 1, len(rows))
    nothing = pd.Series(random.normal(0, 1, len(rows)))
    names = ("latest", "event time", "point in time", "served")
    tables = {
        name: pd.DataFrame({"hint": hint, "input": leaks.get(name.replace(" ", "_"), nothing)})
        for name in names
    }
    cutoff = rows["event_timestamp"].quantile(0.7)
    return {result.variant: result for result in compare_variants(rows, tables, cutoff)}


@pytest.mark.slow
def test_without_a_leak_every_promise_is_kept_and_shuffled_labels_score_chance() -> None:
    results = compared(shop())
    assert {result.verdict for result in results.values()} == {"confirmed"}
    for result in results.values():
        assert result.served["pr_auc"] > 2 * result.served["chance"]
        shuffled = np.mean(result.shuffled_served)
        assert shuffled == pytest.approx(result.served["chance"], rel=0.2)


@pytest.mark.slow
def test_a_feature_that_holds_the_labels_future_is_found() -> None:
    rows = shop()
    results = compared(rows, latest=rows["label"].astype(float))
    leaking = results.pop("latest value")
    assert leaking.verdict in ("inflated", "no better than chance")
    assert leaking.offline["pr_auc"] > 0.99
    assert leaking.gap > 0.5 > 5 * leaking.noise
    assert {result.verdict for result in results.values()} == {"confirmed"}


@pytest.mark.slow
def test_an_input_that_the_data_cannot_give_is_left_out() -> None:
    rows = shop()
    absent = pd.Series(np.nan, index=rows.index)
    results = compared(rows, latest=absent, event_time=absent, point_in_time=absent, served=absent)
    assert {result.verdict for result in results.values()} == {"confirmed"}


@pytest.mark.slow
def test_a_burst_on_both_sides_of_a_random_split_is_found() -> None:
    """An input that tells bursts apart helps only a model that was trained on the same burst."""
    rows = shop()
    fingerprint = rows["user_id"].map(dict(enumerate(np.random.default_rng(5).random(len(rows)))))
    results = compared(rows, point_in_time=fingerprint, served=fingerprint)
    assert results["point in time"].verdict == "confirmed"
    assert results["random split"].verdict == "inflated"
