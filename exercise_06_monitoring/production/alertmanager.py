"""Post alerts to Prometheus's Alertmanager, which groups, repeats, silences and routes them.

Its configuration names the receivers: Slack, mail, PagerDuty. An alert stays open until two runs in
a row found it gone, so that a value at the limit is not opened and closed all day, or until nobody
has confirmed it for a day: a dead job resolves nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.state import AlertState
from lab.learn import utc_now

SOURCE = "feature_monitoring"
VALID_FOR = timedelta(days=1)  # longer than a check may remain unmeasured
CLEAN_RUNS = 2
TIMEOUT_S = 5


class Alertmanager(AlertState):
    """The state of the alerts is Alertmanager's; nothing is stored here."""

    def __init__(self, url: str) -> None:
        self._alerts = f"{url.rstrip('/')}/api/v2/alerts"

    def update(self, checks: list[Check], now: datetime) -> None:
        """Post the failed checks, the open alerts that were not measured, and the end of others.

        The severity is a label, and so part of the identity: an alert of another severity than its
        check has now is over.
        """
        results = {(check.type, check.feature): check for check in checks}
        body = [posted(check, VALID_FOR) for check in checks if check.passed is False]
        for alert, clean_runs in self._open():
            result = results.get((alert.type, alert.feature))
            if result is None or result.passed is None:
                body.append(posted(alert, VALID_FOR, clean_runs))
            elif result.passed:
                valid_for = VALID_FOR if clean_runs + 1 < CLEAN_RUNS else timedelta()
                body.append(posted(alert, valid_for, clean_runs + 1))
            elif result.severity != alert.severity:
                body.append(posted(alert, timedelta()))
        self._request("POST", json=body)

    def open_alerts(self) -> list[Check]:
        """Return the open alerts, oldest first; none where Alertmanager is unavailable."""
        return [alert for alert, _ in self._open()]

    def _open(self) -> list[tuple[Check, int]]:
        """Return each open alert, and how many runs in a row found it gone."""
        found = self._request("GET", params={"filter": f'source="{SOURCE}"'})
        return [
            (
                Check(
                    alert["labels"]["alertname"],
                    alert["labels"]["feature"],
                    False,
                    alert["annotations"]["summary"],
                    alert["labels"]["severity"],
                ),
                int(alert["annotations"].get("clean_runs", 0)),
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


def posted(check: Check, valid_for: timedelta, clean_runs: int = 0) -> dict[str, Any]:
    """Return a check in the form of Alertmanager's API."""
    labels = {"alertname": check.type, "feature": check.feature, "severity": check.severity}
    return {
        "labels": labels | {"source": SOURCE},
        "annotations": {"summary": check.message, "clean_runs": str(clean_runs)},
        "endsAt": (utc_now() + valid_for).astimezone(UTC).isoformat(),
    }
