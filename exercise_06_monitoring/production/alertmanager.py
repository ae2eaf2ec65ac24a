"""Post alerts to Prometheus's Alertmanager, which groups, repeats, silences and routes them.

Its configuration names the receivers: Slack, mail, PagerDuty. An alert stays open until two runs in
a row found it gone, so that a value at the limit is not opened and closed all day, or until nobody
has confirmed it for a day: a dead job resolves nothing.
"""

import json
from dataclasses import asdict, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import requests

from exercise_06_monitoring.alerts import Check, monitoring_folder, replace_file
from exercise_06_monitoring.state import AlertState
from lab.learn import utc_now

SOURCE = "feature_monitoring"
VALID_FOR = timedelta(days=1)  # longer than a check may remain unmeasured
CLEAN_RUNS = 2
TIMEOUT_S = 5


class Alertmanager(AlertState):
    """The open alerts are in a file: Alertmanager forgets its own when it restarts."""

    def __init__(self, url: str) -> None:
        self._alerts = f"{url.rstrip('/')}/api/v2/alerts"

    def group(self, check: Check) -> str:
        """Return an alert's name for each view: one for all would hide what is lost later."""
        return f"{check.type}.{check.view}"

    def update(self, checks: list[Check]) -> None:
        """Post the failed checks, the open alerts that were not measured, and the end of others.

        The severity is a label, and so part of the identity: an alert of another severity than its
        check has now is over. An end that was not delivered is posted by the next run.
        """
        results = {(check.type, check.feature): check for check in checks}
        still_open = [(check, 0) for check in checks if check.passed is False]
        ended = []
        for alert, clean_runs in self._read_open():
            result = results.get((alert.type, alert.feature), replace(alert, passed=None))
            if result.passed is None:
                still_open.append((alert, clean_runs))
            elif result.passed and clean_runs + 1 < CLEAN_RUNS:
                still_open.append((alert, clean_runs + 1))
            elif result.passed or result.severity != alert.severity:
                ended.append(replace(alert, message=result.message))
        valid = [posted(alert, VALID_FOR) for alert, _ in still_open]
        if not self._post([*valid, *(posted(alert, timedelta()) for alert in ended)]):
            still_open += [(alert, CLEAN_RUNS - 1) for alert in ended]
        stored = [(asdict(alert), clean_runs) for alert, clean_runs in still_open]
        replace_file(self._file, json.dumps(stored))

    def open_alerts(self) -> list[Check]:
        """Return the open alerts, posted or not."""
        return [alert for alert, _ in self._read_open()]

    @property
    def _file(self) -> Path:
        return monitoring_folder() / "alertmanager.json"

    def _read_open(self) -> list[tuple[Check, int]]:
        """Return each open alert, and how many runs in a row found it gone."""
        rows = json.loads(self._file.read_text()) if self._file.exists() else []
        return [(Check(**alert), clean_runs) for alert, clean_runs in rows]

    def _post(self, alerts: list[dict[str, Any]]) -> bool:
        try:
            options: dict[str, Any] = {"timeout": TIMEOUT_S, "allow_redirects": False}
            if requests.post(self._alerts, json=alerts, **options).status_code >= 300:
                raise requests.HTTPError
        except requests.RequestException as error:
            print(f"  Alertmanager: {type(error).__name__}; the next run posts all again")
            return False
        return True


def posted(check: Check, valid_for: timedelta) -> dict[str, Any]:
    """Return a check in the form of Alertmanager's API."""
    labels = {"alertname": check.type, "feature": check.feature, "severity": check.severity}
    return {
        "labels": labels | {"source": SOURCE},
        "annotations": {"summary": check.message},
        "endsAt": (utc_now() + valid_for).astimezone(UTC).isoformat(),
    }
