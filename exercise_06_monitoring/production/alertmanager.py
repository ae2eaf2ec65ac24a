"""Post alerts to Prometheus's Alertmanager, which groups, repeats, silences and routes them.

Its configuration names the receivers: Slack, mail, PagerDuty. An alert stays open until a run posts
its end, or until nobody has confirmed it for a day.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from exercise_06_monitoring.alerts import Alert, AlertState

SOURCE = "feature_monitoring"
VALID_FOR = timedelta(days=1)  # longer than a check may remain unmeasured
TIMEOUT_S = 5


class Alertmanager(AlertState):
    """The state of the alerts is Alertmanager's; nothing is stored here."""

    def __init__(self, url: str) -> None:
        self._alerts = f"{url.rstrip('/')}/api/v2/alerts"

    def open(self, alert: Alert, now: datetime) -> bool:
        """Post an alert, or confirm that it is still open; the next run repeats a failed post."""
        return self._post(alert, now + VALID_FOR)

    def resolve(self, healthy: set[tuple[str, str]], now: datetime) -> None:
        """Post the end of each open alert whose type and feature are healthy."""
        for alert in self.open_alerts():
            if (alert.type, alert.feature) in healthy:
                self._post(alert, now)

    def open_alerts(self) -> list[Alert]:
        """Return the open alerts, oldest first; none where Alertmanager is unavailable."""
        query: dict[str, Any] = {"filter": f'source="{SOURCE}"'}
        try:
            response = requests.get(self._alerts, params=query, timeout=TIMEOUT_S)
            response.raise_for_status()
        except requests.RequestException as error:
            print(f"  Alertmanager: {type(error).__name__}")
            return []
        found = sorted(response.json(), key=lambda alert: str(alert["startsAt"]))
        return [
            Alert(
                alert["labels"]["alertname"],
                alert["labels"]["feature"],
                alert["labels"]["severity"],
                alert["annotations"]["summary"],
            )
            for alert in found
        ]

    def _post(self, alert: Alert, ends_at: datetime) -> bool:
        labels = {"alertname": alert.type, "feature": alert.feature, "severity": alert.severity}
        body: dict[str, Any] = {
            "labels": labels | {"source": SOURCE},
            "annotations": {"summary": alert.message},
            "endsAt": ends_at.astimezone(UTC).isoformat(),
        }
        try:
            requests.post(self._alerts, json=[body], timeout=TIMEOUT_S).raise_for_status()
        except requests.RequestException as error:
            print(f"  Alertmanager: {type(error).__name__}; the next run posts it again")
            return False
        return True
