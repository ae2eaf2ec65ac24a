"""Run the monitor with production parts; all of them without arguments.

LAB_ALERTMANAGER_URL is the address of Alertmanager, http://127.0.0.1:9093 by default.
"""

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.feature_monitoring import Monitor, MoreChecks
from exercise_06_monitoring.production.alertmanager import Alertmanager
from exercise_06_monitoring.production.drift_since import check_drift
from exercise_06_monitoring.production.large_tables import sampled_windows
from exercise_06_monitoring.production.metrics_exposition import write_metrics_and_report
from exercise_06_monitoring.production.model_version import supersede_alerts
from exercise_06_monitoring.production.outcomes import check_outcomes
from exercise_06_monitoring.production.volume import check_volumes
from exercise_06_monitoring.report import DriftAlerts, drift_checks, write_report
from exercise_06_monitoring.serving import check_api
from exercise_06_monitoring.state import AlertState, earlier_runs
from exercise_06_monitoring.windows import Tables, drift_windows
from lab.learn import UserError, as_of, run_script

PARTS = ("alertmanager", "large_tables", "metrics_exposition", "drift_limits", "outcomes", "volume")
ALERTMANAGER_URL = "http://127.0.0.1:9093"


def build_monitor(parts: set[str]) -> Monitor:
    """Compose the solution's monitor with the named parts."""
    if unknown := ", ".join(sorted(parts - set(PARTS))):
        raise UserError(f"there is no part {unknown}", f"choose from: {', '.join(PARTS)}")
    windows = sampled_windows if "large_tables" in parts else drift_windows
    url = os.environ.get("LAB_ALERTMANAGER_URL", ALERTMANAGER_URL)
    alerts = Alertmanager(url) if "alertmanager" in parts else AlertState()
    publish = write_metrics_and_report if "metrics_exposition" in parts else write_report
    checks: dict[str, MoreChecks] = {
        "drift_limits": once_a_day(partial(check_drift, windows=windows)),
        "outcomes": once_a_day(check_outcomes),
        "volume": check_volumes,
    }
    more_checks = tuple(check for part, check in checks.items() if part in parts)
    # A condition has one owner: the limits of drift_limits, and Prometheus for the API.
    drift_alerts: DriftAlerts = no_checks if "drift_limits" in parts else drift_checks
    api = no_checks if "metrics_exposition" in parts else check_api
    return Monitor(windows, alerts, publish, more_checks, drift_alerts, api)


def once_a_day(check: MoreChecks) -> MoreChecks:
    """Return a check that a day's later runs omit; reruns for an earlier time have it."""

    def check_daily(tables: Tables, now: datetime) -> Iterator[Check]:
        is_newest, last_run = earlier_runs(now)
        if not is_newest or last_run is None or last_run.date() < now.date():
            yield from check(tables, now)

    return check_daily


def no_checks(*_: object) -> Iterator[Check]:
    return iter(())


def main() -> None:
    monitor = build_monitor(set(sys.argv[1:] or PARTS))
    supersede_alerts(monitor.alerts, as_of())
    monitor.run(as_of())


if __name__ == "__main__":
    run_script(main)
