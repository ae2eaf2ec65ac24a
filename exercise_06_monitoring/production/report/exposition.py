"""The results as metrics, for the textfile collector of Prometheus's node exporter."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from exercise_06_monitoring.production.check import Check
from exercise_06_monitoring.production.report.content import Content


def write_metrics(content: Content, file: Path) -> None:
    """Replace the file whole."""
    registry = CollectorRegistry()
    _drift(content, registry)
    _checks([*content.quality.items(), *content.serving.items()], registry)
    _runs(content, registry)
    write_to_textfile(str(file), registry)


def _drift(content: Content, registry: CollectorRegistry) -> None:
    labels = ["view", "feature"]
    psi = Gauge("feature_psi", "Population stability index", labels, registry=registry)
    drifted = Gauge("feature_drifted", "1 if the feature drifted", labels, registry=registry)
    nulls = Gauge("feature_null_rate", "Share of nulls in the window", labels, registry=registry)
    for drift in content.drifts:
        of = (drift.view, drift.feature)
        psi.labels(*of).set(drift.psi)
        drifted.labels(*of).set(drift.has_drift)
        nulls.labels(*of).set(drift.null_rate_current)


def _checks(groups: list[tuple[str, list[Check]]], registry: CollectorRegistry) -> None:
    labels = ["view", "column", "check"]
    value = Gauge("feature_check_value", "What a check measured", labels, registry=registry)
    failed = Gauge("feature_check_failed", "1 if a check failed", labels, registry=registry)
    for view, checks in groups:
        for check in checks:
            if check.is_measured:
                value.labels(view, check.column, check.check).set(check.value)
                failed.labels(view, check.column, check.check).set(not check.passed)


def _runs(content: Content, registry: CollectorRegistry) -> None:
    finished = Gauge(
        "monitoring_last_run_timestamp_seconds", "When a run ended", ["run"], registry=registry
    )
    for job, moment in content.finished.items():
        finished.labels(job).set(moment.timestamp())
    Gauge("monitoring_open_alerts", "Alerts that are open", registry=registry).set(
        len(content.open)
    )
    Gauge(
        "monitoring_undelivered_notices", "Notices that no receiver has taken", registry=registry
    ).set(content.undelivered)
