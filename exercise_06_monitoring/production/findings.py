"""From what was measured to what somebody has to hear."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from exercise_06_monitoring.production.alerts.notice import Alert, Severity
from exercise_06_monitoring.production.check import Check, counted
from exercise_06_monitoring.production.drift.result import FeatureDrift

DRIFT, QUALITY, SERVING, MONITORING = "drift", "data_quality", "serving", "monitoring"
# What is broken now, and not only unusual.
CRITICAL = {
    "readable",
    "columns",
    "type",
    "unique_keys",
    "freshness",
    "delay",
    "answers",
    "online_offline",
    "error_rate",
}

NEXT_STEPS = {
    "readable": "Mend the file, or compute it again: `lab data features`.",
    "columns": "Make the source and its definition agree, then `lab run 1`.",
    "type": "Make the source and its definition agree, then `lab run 1`.",
    "freshness": "See where the data end: `lab data show`. Start their pipeline again, then "
    "`lab run 3`.",
    "delay": "The pipeline runs, but late: see what it waits for. Then `lab run 3`.",
    "row_count": "Compare the last run of the pipeline with the one of a day before.",
    "unique_keys": "The pipeline wrote rows twice: write them again, `lab data features`.",
    "online_offline": "Redis is wrong: materialize again, `lab run 3`.",
    "materialized": "Materialize what has arrived since: `lab run 3`.",
    "streaming_freshness": "The streaming job has stopped: start it again, `lab run 5`.",
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
        Alert(
            MONITORING, f"{job} job", f"{counted(count, 'scheduled run')} missing before this one"
        )
        for job, count in missed.items()
        if count
    ]
