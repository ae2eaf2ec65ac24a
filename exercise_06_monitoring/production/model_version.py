"""End the alerts that compare with the training of an earlier model.

A new model has learned from other rows: what had drifted since the old ones may be usual now, and
what drifted since the new ones is news.
"""

from dataclasses import replace
from datetime import datetime

from exercise_06_monitoring.alerts import Check, monitoring_folder, replace_file
from exercise_06_monitoring.production.alertmanager import CLEAN_RUNS
from exercise_06_monitoring.production.quiet_weeks import forget_quiet_weeks
from exercise_06_monitoring.state import AlertState, earlier_runs
from exercise_06_monitoring.windows import read_model


def supersede_alerts(alerts: AlertState, now: datetime) -> None:
    """Resolve the alerts of another version than the present one; not in a rerun of an old day."""
    version, file = str(read_model().get("version", "")), monitoring_folder() / "model_version"
    before = file.read_text() if file.exists() else version
    if not version or not earlier_runs(now)[0]:
        return
    if before != version:
        forget_quiet_weeks()
        text = f"superseded by model {version}"
        open_alerts = [alert for alert in alerts.open_alerts() if is_of_model(alert)]
        ended = [replace(alert, passed=True, message=text) for alert in open_alerts]
        for _ in range(CLEAN_RUNS):
            alerts.update(ended)
    replace_file(file, version)


def is_of_model(alert: Check) -> bool:
    """Return True for alerts on predictions and on drift since training."""
    return alert.type == "prediction" or "since training" in alert.feature
