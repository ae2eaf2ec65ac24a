"""From what was measured to what somebody has to hear."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from exercise_06_monitoring.alerts.notice import Alert, Severity
from exercise_06_monitoring.check import Check
from exercise_06_monitoring.drift.result import FeatureDrift

DRIFT, QUALITY, SERVING, MONITORING = "drift", "data_quality", "serving", "monitoring"
# What is broken now, and not only unusual.
CRITICAL = {
    "readable",
    "columns",
    "type",
    "unique_keys",
    "freshness",
    "answers",
    "online_offline",
    "error_rate",
}


def drift_alerts(drifts: Iterable[FeatureDrift]) -> list[Alert]:
    """One for each feature that drifted. A warning: a model gets worse slowly, nothing is down."""
    return [
        Alert(DRIFT, drift.feature, "; ".join(drift.reasons)) for drift in drifts if drift.has_drift
    ]


def check_alerts(type_: str, checks: Mapping[str, Iterable[Check]]) -> Iterator[Alert]:
    """One for each column, or whole table, with checks that failed; `checks` are by view."""
    for group, of_group in checks.items():
        failed = defaultdict(list)
        for check in of_group:
            if not check.passed:
                failed[check.column].append(check)
        for column, of_column in failed.items():
            is_critical = any(check.check in CRITICAL for check in of_column)
            yield Alert(
                type_,
                f"{group}:{column}" if column else group,
                "; ".join(
                    f"{check.check.replace('_', ' ')}: {check.message}" for check in of_column
                ),
                Severity.CRITICAL if is_critical else Severity.WARNING,
            )


def missed_alerts(missed: Mapping[str, int]) -> list[Alert]:
    """One for each job that did not run when it should have."""
    return [
        Alert(MONITORING, f"{job} job", f"{count} scheduled runs are missing before this one")
        for job, count in missed.items()
        if count
    ]
