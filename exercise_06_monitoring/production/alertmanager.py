"""Post alerts to Prometheus's Alertmanager, which groups, repeats, silences and routes them.

Its configuration names the receivers: Slack, mail, PagerDuty. An alert stays open until a run posts
its end, or until nobody has confirmed it for a day.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.state import AlertState
from lab.learn import utc_now

SOURCE = "feature_monitoring"
VALID_FOR = timedelta(days=1)  # longer than a check may remain unmeasured
TIMEOUT_S = 5


class Alertmanager(AlertState):
    """The state of the alerts is Alertmanager's; nothing is stored here."""

    def __init__(self, url: str) -> None:
        self._alerts = f"{url.rstrip('/')}/api/v2/alerts"

    def update(self, checks: list[Check], now: datetime) -> None:
        """Post the failed checks, the open alerts that were not measured, and the end of others."""
        measured = {(check.type, check.feature): check.passed for check in checks}
        failed = [check for check in checks if check.passed is False]
        ended = []
        for alert in self.open_alerts():
            passed = measured.get((alert.type, alert.feature))
            if passed is None:
                failed.append(alert)
            elif passed:
                ended.append(alert)
        body = [posted(check, utc_now() + VALID_FOR) for check in failed]
        self._request("POST", json=body + [posted(check, utc_now()) for check in ended])

    def open_alerts(self) -> list[Check]:
        """Return the open alerts, oldest first; none where Alertmanager is unavailable."""
        found = self._request("GET", params={"filter": f'source="{SOURCE}"'})
        return [
            Check(
                alert["labels"]["alertname"],
                alert["labels"]["feature"],
                False,
                alert["annotations"]["summary"],
                alert["labels"]["severity"],
            )
            for alert in sorted(found, key=lambda alert: str(alert["startsAt"]))
        ]

    def _request(self, method: str, **options: Any) -> list[dict[str, Any]]:
        try:
            response = requests.request(method, self._alerts, timeout=TIMEOUT_S, **options)
            response.raise_for_status()
        except requests.RequestException as error:
            print(f"  Alertmanager: {type(error).__name__}; the next run posts all again")
            return []
        return list(response.json()) if response.content else []


def posted(check: Check, ends_at: datetime) -> dict[str, Any]:
    """Return a check in the form of Alertmanager's API."""
    labels = {"alertname": check.type, "feature": check.feature, "severity": check.severity}
    return {
        "labels": labels | {"source": SOURCE},
        "annotations": {"summary": check.message},
        "endsAt": ends_at.astimezone(UTC).isoformat(),
    }
