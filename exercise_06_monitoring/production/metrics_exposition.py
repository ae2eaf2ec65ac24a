"""Expose the results of a run to Prometheus, beside the page.

The node exporter's textfile collector reads metrics.prom. monitoring.rules.yml has the alert that
the monitor cannot send itself: that it no longer runs.
"""

from datetime import datetime
from pathlib import Path

import pandas as pd
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from exercise_06_monitoring.alerts import Alert
from exercise_06_monitoring.quality import Check
from exercise_06_monitoring.report import write_report


def write_metrics_and_report(
    now: datetime, alerts: list[Alert], drift: pd.DataFrame, checks: dict[str, list[Check]]
) -> Path:
    """Write metrics.prom and the page; each file replaces its predecessor in one step."""
    page = write_report(now, alerts, drift, checks)
    registry = CollectorRegistry()
    psi = Gauge("feature_psi", "Population Stability Index", ["feature"], registry=registry)
    drifted = Gauge("feature_drifted", "1 if it drifted", ["feature"], registry=registry)
    for row in drift[drift["severity"] != "unknown"].to_dict("records"):
        psi.labels(row["feature"]).set(row["psi"])
        drifted.labels(row["feature"]).set(row["has_drift"])
    labels = ["part", "column", "check"]
    failed = Gauge("feature_check_failed", "1 if a check failed", labels, registry=registry)
    for part, found in checks.items():
        for check in found:
            if check.check and check.passed is not None:  # not measured is neither
                failed.labels(part, check.column, check.check).set(not check.passed)
    last_run = "monitoring_last_run_timestamp_seconds"
    Gauge(last_run, "When the last run ended", registry=registry).set(now.timestamp())
    open_alerts = Gauge("monitoring_open_alerts", "Open alerts", registry=registry)
    open_alerts.set(len(alerts))
    write_to_textfile(str(page.with_name("metrics.prom")), registry)
    return page
