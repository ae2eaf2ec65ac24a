"""Store open alerts in SQLite, and deliver notifications to Slack, mail and PagerDuty.

SLACK_WEBHOOK_URL, SMTP_HOST, SMTP_PORT, ALERT_EMAIL_TO and PAGERDUTY_ROUTING_KEY name the
receivers. An address is a secret: none is printed, and apprise, which logs them, is silent.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import apprise
import requests
from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from lab.learn import settings

SEVERITIES = ("info", "warning", "critical")
REPEAT_AFTER = timedelta(days=7)
TIMEOUT_S, ATTEMPTS = 5, 3
TABLE = """
CREATE TABLE IF NOT EXISTS alerts (
    type TEXT, feature TEXT, message TEXT, severity INTEGER,
    opened TEXT, last_sent TEXT, resolved TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS open_alerts ON alerts (type, feature) WHERE resolved IS NULL;
"""
# An alert keeps its worst severity: those who got it as critical get its end, too.
OPEN = """
INSERT INTO alerts VALUES (?, ?, ?, ?, ?, NULL, NULL)
ON CONFLICT (type, feature) WHERE resolved IS NULL DO UPDATE SET
    last_sent = CASE WHEN excluded.severity > severity THEN NULL ELSE last_sent END,
    severity = max(severity, excluded.severity), message = excluded.message
RETURNING severity, last_sent
"""
OF_ALERT = "WHERE type = ? AND feature = ? AND resolved IS NULL"
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Alert:
    """A problem of one feature, view or service; one is open for each type and feature."""

    type: str
    feature: str
    message: str
    severity: str = "warning"
    resolved: bool = False

    @property
    def text(self) -> str:
        state = "RESOLVED" if self.resolved else self.severity.upper()
        return f"[{state}] {self.type}: {self.feature}: {self.message}"


def monitoring_folder() -> Path:
    """Return the folder of the alerts and the reports."""
    folder = settings.data_dir / "monitoring"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class AlertState:
    """The table of alerts: when each was opened, last sent, and resolved."""

    def open(self, alert: Alert, now: datetime) -> bool:
        """Store an alert, and send it if it is new, became worse, or was sent a week ago."""
        severity = SEVERITIES.index(alert.severity)
        row = alert.type, alert.feature, alert.message, severity, now.isoformat()
        with self._database() as database:
            worst, sent = database.execute(OPEN, row).fetchone()
        is_due = sent is None or now - datetime.fromisoformat(sent) >= REPEAT_AFTER
        return is_due and self._send(replace(alert, severity=SEVERITIES[worst]), now)

    def resolve(self, type_: str, feature: str, now: datetime) -> None:
        """Send the end of an alert, if it is open."""
        for alert in self.open_alerts():
            if (alert.type, alert.feature) == (type_, feature):
                self._send(replace(alert, resolved=True), now)

    def open_alerts(self) -> list[Alert]:
        """Return the open alerts, oldest first."""
        query = "SELECT type, feature, message, severity FROM alerts WHERE resolved IS NULL"
        with self._database() as database:
            rows = database.execute(f"{query} ORDER BY opened").fetchall()
        return [Alert(row[0], row[1], row[2], SEVERITIES[row[3]]) for row in rows]

    def _send(self, alert: Alert, now: datetime) -> bool:
        """Notify every receiver; the next run repeats it unless all accepted it."""
        print(alert.text)
        if not all([deliver(name, url, alert) for name, url in receivers(alert).items()]):
            return False
        column = "resolved" if alert.resolved else "last_sent"
        with self._database() as database:
            database.execute(
                f"UPDATE alerts SET {column} = ? {OF_ALERT}",
                (now.isoformat(), alert.type, alert.feature),
            )
        return True

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(monitoring_folder() / "alerts.db", timeout=30)) as database:
            database.executescript(TABLE)
            with database:
                yield database


def receivers(alert: Alert) -> dict[str, str]:
    """Return the URL of each receiver; info is only printed, PagerDuty gets critical alerts."""
    env, urls = os.environ, {}
    if alert.severity != "info" and "SLACK_WEBHOOK_URL" in env:
        urls["Slack"] = env["SLACK_WEBHOOK_URL"]
    if alert.severity != "info" and "SMTP_HOST" in env and "ALERT_EMAIL_TO" in env:
        server = f"{env['SMTP_HOST']}:{env.get('SMTP_PORT', '25')}"
        people = "/".join(quote(person.strip()) for person in env["ALERT_EMAIL_TO"].split(","))
        sender = "feature-monitoring@localhost.localdomain"
        urls["mail"] = f"mailto://{server}/{people}?from={sender}&mode=insecure&format=text"
    if alert.severity == "critical" and "PAGERDUTY_ROUTING_KEY" in env:
        incident = quote(f"{alert.type}:{alert.feature}")
        key = env["PAGERDUTY_ROUTING_KEY"]
        urls["PagerDuty"] = (
            f"pagerduty://{key}@events/features?action=map&image=no&dedup={incident}"
        )
    return urls


def report_failure(state: RetryCallState) -> bool:
    """Print which receiver failed, and how, without its address."""
    error = state.outcome and state.outcome.exception()
    print(f"  {state.args[0]}: {type(error).__name__}; the next run sends it again")
    return False


@retry(
    retry=retry_if_exception_type(OSError),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_exponential(multiplier=0.2),
    retry_error_callback=report_failure,
)
def deliver(name: str, url: str, alert: Alert) -> bool:
    """Send to one receiver, with two more attempts; False if all fail."""
    if name == "Slack":  # apprise knows Slack's own host only; many chat servers take `text`
        body = {"text": alert.text}
        requests.post(url, json=body, timeout=TIMEOUT_S).raise_for_status()
        return True
    urgent = "failure" if alert.severity == "critical" else "warning"
    kind = "success" if alert.resolved else urgent
    service = apprise.Apprise()
    service.add(url)
    if not service.notify(alert.message, title=alert.text, notify_type=kind):
        raise ConnectionError
    return True
