"""Runs as the monitor keeps them, made up by hand."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from exercise_06_monitoring.production import runs
from exercise_06_monitoring.production.check import Check, not_measured
from exercise_06_monitoring.production.drift.result import FeatureDrift, Histogram

NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
EDGES = (0.0, 1.0, 2.5, 10.0)
CALM = FeatureDrift(
    feature="avg_transaction_amount",
    view="user_transaction_features",
    kind="number",
    psi=0.02,
    psi_threshold=0.05,
    ks_statistic=0.01,
    ks_p_value=0.4,
    q_value=0.8,
    wasserstein=0.1,
    jensen_shannon=0.03,
    chi_square_p_value=float("nan"),
    null_rate_reference=0.0,
    null_rate_current=0.001,
    rows_reference=2_000,
    rows_current=1_900,
    has_drift=False,
    severity="low",
    reasons=(),
    reference_histogram=Histogram(EDGES, (0.3, 0.4, 0.3)),
    current_histogram=Histogram(EDGES, (0.31, 0.38, 0.31)),
)
DRIFTED = replace(
    CALM,
    psi=0.41,
    has_drift=True,
    severity="high",
    reasons=("the values are distributed otherwise",),
    current_histogram=Histogram(EDGES, (0.1, 0.2, 0.7)),
)
WORDS = replace(
    DRIFTED,
    feature="last_product_id",
    view="user_preference_features",
    kind="category",
    reference_histogram=Histogram((), (0.6, 0.4), ("<script>alert(1)</script>", "tea & milk")),
    current_histogram=Histogram((), (0.1, 0.9), ("<script>alert(1)</script>", "tea & milk")),
)
STALE = Check("", "freshness", 36_000.0, False, "the newest row arrived 10 h ago", 10_800.0)
LATE = Check("", "delay", 36_000.0, False, "the newest values are 10 h old", 10_800.0)
FRESH = Check("", "freshness", 1_800.0, True, "the newest row arrived 30 min ago", 10_800.0)


def save_drift(*drifts: FeatureDrift, as_of: datetime = NOW, scheduled: bool = False) -> None:
    results = {drift.feature: asdict(drift) for drift in drifts}
    runs.save(runs.Run("drift", as_of, 1.0, results), scheduled=scheduled)


def save_quality(
    *checks: Check, as_of: datetime = NOW, scheduled: bool = False, **counts: float
) -> None:
    results: dict[str, Any] = {
        "quality": {"user_transaction_features": [asdict(check) for check in checks]},
        "serving": {"serving API": [asdict(not_measured("answers", "nobody is there"))]},
        "counts": counts,
    }
    runs.save(runs.Run("quality", as_of, 1.0, results), scheduled=scheduled)
