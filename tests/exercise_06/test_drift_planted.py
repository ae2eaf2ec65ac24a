"""Drift that was planted is found, in the features that it touches and in no others."""

from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring.production.drift import FeatureDrift, compare_windows
from exercise_06_monitoring.production.drift.windows import view_windows
from tests.exercise_06.monitored_shop import (
    MONITORED,
    SINCE,
    TABLE_OF,
    Change,
    change_events,
    change_table,
    dearer,
    delayed,
    frozen,
    in_cents,
    more_spread,
    new_product,
    views_in,
    without,
)
from tests.shop import AS_OF

USER, MERCHANT = "user_transaction_features", "merchant_risk_features"
# Amounts of recent purchases only; a sum is zero most of the time, a mean over 30 days inert.
UNDILUTED = {"avg_amount_5m", "max_amount_5m", "avg_amount_1h"}


def verdicts(folder: Path) -> dict[str, FeatureDrift]:
    found = compare_windows([view_windows(view, AS_OF) for view in views_in(folder)])
    return {drift.feature: drift for drift in found}


def drifted(folder: Path) -> dict[str, FeatureDrift]:
    return {name: drift for name, drift in verdicts(folder).items() if drift.has_drift}


def test_a_shop_without_drift_is_quiet(simulated: Path) -> None:
    found = verdicts(simulated)
    assert set(found) == set(MONITORED)
    assert [drift for drift in found.values() if drift.has_drift] == []
    assert {drift.severity for drift in found.values()} == {"low"}


@pytest.mark.parametrize(
    ("change", "touched", "may_be_touched"),
    [
        (dearer, UNDILUTED, {"total_amount_5m", "total_amount_30d"}),
        # Few users pay within five minutes: there a wider spread is near the limit of chance.
        (more_spread, {"avg_amount_1h"}, {*UNDILUTED, "total_amount_5m", "total_amount_30d"}),
        (
            in_cents,
            {*UNDILUTED, "total_amount_5m", "total_amount_30d", "avg_transaction_amount"},
            set(),
        ),
    ],
)
def test_a_change_of_the_events_is_seen_where_it_matters(
    change: Change, touched: set[str], may_be_touched: set[str], copy: Path
) -> None:
    change_events(copy, change)
    assert touched <= set(drifted(copy)) <= touched | may_be_touched


def test_a_new_category_is_named(copy: Path) -> None:
    change_events(copy, new_product)
    found = drifted(copy)
    assert set(found) == {"last_product_id"}
    (*_, reason) = found["last_product_id"].reasons
    assert reason.endswith("of the values are product_of_the_season, which was not there before")


def test_broken_columns_are_the_only_ones_that_are_reported(copy: Path) -> None:
    change_table(copy, MERCHANT, without("refund_rate", 0.4))
    change_table(copy, USER, frozen("user_id", "transaction_count_7d"))
    found = drifted(copy)
    assert set(found) == {"refund_rate", "transaction_count_7d"}
    assert found["refund_rate"].reasons[-1].startswith("nulls went from 0.0% to ")
    assert found["transaction_count_7d"].reasons[-1].startswith("0.0% of the values moved")
    assert found["transaction_count_7d"].severity == "high"


def test_a_delayed_pipeline_is_no_drift_and_hides_none(copy: Path) -> None:
    """That it is late is told once, of the view: test_quality.py. Its features are compared."""
    change_table(copy, MERCHANT, without("refund_rate", 0.4))
    change_table(copy, MERCHANT, delayed(days=2))
    found = verdicts(copy)
    late = {"chargeback_rate", "refund_rate", "total_transactions_30d"}
    assert {name for name, drift in found.items() if drift.ended == 2} == late
    assert {name for name, drift in found.items() if drift.has_drift} == {"refund_rate"}


def test_a_source_that_ended_is_compared_as_it_was_then(copy: Path) -> None:
    """A week that is half empty has other weekdays, and fewer rows."""
    before = compare_windows([view_windows(view, SINCE) for view in views_in(copy)])
    for view in TABLE_OF:
        change_table(copy, view, lambda rows: rows.head(0))
    now = verdicts(copy)
    for drift in before:
        assert now[drift.feature].ended == 7, drift.feature
        assert not now[drift.feature].has_drift, drift.feature
        assert now[drift.feature].rows_current == pytest.approx(drift.rows_current, rel=0.01)


def test_a_column_that_is_gone_is_no_crash(copy: Path) -> None:
    file = copy / "merchant_stats.parquet"
    pd.read_parquet(file).drop(columns="refund_rate").to_parquet(file)
    refund_rate = verdicts(copy)["refund_rate"]
    assert (refund_rate.null_rate_reference, refund_rate.null_rate_current) == (1, 1)
