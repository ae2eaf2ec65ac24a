"""Planted drift is found, in the features that it touches and in no others."""

from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring import feature_monitoring
from exercise_06_monitoring.feature_monitoring import generate_drift_report
from tests.exercise_06.monitored_shop import (
    MONITORED,
    Change,
    change_events,
    change_table,
    dearer,
    in_cents,
    more_spread,
    new_product,
    views_in,
    without,
)
from tests.shop import AS_OF

MERCHANT = "merchant_risk_features"
# Amounts of recent purchases only; a sum is zero most of the time, a mean over 30 days inert.
UNDILUTED = {"avg_amount_5m", "max_amount_5m", "avg_amount_1h"}
AMOUNTS = {"total_amount_5m", "total_amount_30d", "avg_transaction_amount"}


def report_of(folder: Path) -> pd.DataFrame:
    """Return the report over the tables of a folder, by feature."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_monitoring, "read_views", lambda: views_in(folder))
        return generate_drift_report(MONITORED, AS_OF).set_index("feature")


def drifted(report: pd.DataFrame) -> set[str]:
    return set(report.index[report["has_drift"]])


def test_a_shop_without_drift_is_quiet(simulated: Path) -> None:
    report = report_of(simulated)
    assert drifted(report) == set()
    assert "high" not in set(report["severity"])


@pytest.mark.parametrize(
    ("change", "touched", "may_be_touched"),
    [
        (dearer, {"avg_amount_1h"}, UNDILUTED | AMOUNTS),
        (more_spread, set(), UNDILUTED | AMOUNTS),
        (in_cents, UNDILUTED | AMOUNTS, UNDILUTED | AMOUNTS),
        (new_product, {"last_product_id"}, {"last_product_id"}),
    ],
)
def test_a_change_of_the_events_is_seen_where_it_matters(
    change: Change, touched: set[str], may_be_touched: set[str], copy: Path
) -> None:
    change_events(copy, change)
    found = drifted(report_of(copy))
    assert touched <= found <= may_be_touched


def test_nulls_are_drift(copy: Path) -> None:
    change_table(copy, MERCHANT, without("refund_rate", 0.4))
    assert drifted(report_of(copy)) == {"refund_rate"}


def test_an_empty_week_is_unknown(copy: Path) -> None:
    change_table(copy, MERCHANT, lambda rows: rows.head(0))
    report = report_of(copy)
    assert set(report.loc[["refund_rate", "chargeback_rate"], "severity"]) == {"unknown"}
    assert drifted(report) == set()


def test_a_column_that_is_gone_is_no_crash(copy: Path) -> None:
    file = copy / "merchant_stats.parquet"
    pd.read_parquet(file).drop(columns="refund_rate").to_parquet(file)
    assert not report_of(copy).loc["refund_rate", "has_drift"]
