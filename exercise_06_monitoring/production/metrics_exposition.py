"""Write the results of a run for Prometheus, next to the page.

The node exporter's textfile collector reads metrics.prom. monitoring.rules.yml has the alert that
the monitor cannot send itself: that it no longer runs.
"""

from datetime import datetime
from pathlib import Path

import pandas as pd
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from exercise_06_monitoring.alerts import Check, replace_file
from exercise_06_monitoring.report import write_report


def write_metrics_and_report(
    now: datetime, alerts: list[Check], drift: pd.DataFrame, checks: list[Check]
) -> Path:
    """Write metrics.prom and the page; each file replaces its predecessor in one step."""
    page = write_report(now, alerts, drift, checks)
    registry = CollectorRegistry()
    sides = ["feature", "baseline"]
    psi = Gauge("feature_psi", "Population Stability Index", sides, registry=registry)
    for row in drift[drift["severity"] != "unknown"].to_dict("records"):
        psi.labels(row["feature"], row["baseline"]).set(row["psi"])
    labels = ["type", "feature"]
    failed = Gauge("feature_check_failed", "1 if a check failed", labels, registry=registry)
    for check in checks:
        if check.passed is not None:  # not measured is neither
            failed.labels(check.type, check.feature).set(not check.passed)
    last_run = "monitoring_last_run_timestamp_seconds"
    Gauge(last_run, "When the last run ended", registry=registry).set(now.timestamp())
    open_alerts = Gauge("monitoring_open_alerts", "Open alerts", registry=registry)
    open_alerts.set(len(alerts))
    replace_file(page.with_name("metrics.prom"), generate_latest(registry).decode())
    return page
