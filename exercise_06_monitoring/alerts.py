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
from tenacity import retry, stop_after_attempt, wait_exponential

from lab.learn import settings

SEVERITIES = ("info", "warning", "critical")
REPEAT_AFTER = timedelta(days=7)
TABLE = """
CREATE TABLE IF NOT EXISTS alerts (
    type TEXT, feature TEXT, severity TEXT, message TEXT,
    opened TEXT, last_sent TEXT, resolved TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS open_alerts ON alerts (type, feature, severity)
WHERE resolved IS NULL;
"""
OF_ALERT = "WHERE type = ? AND feature = ? AND severity = ? AND resolved IS NULL"
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Alert:
    """A problem of a feature, view or service; one is open for each type, feature and severity."""

    type: str
    feature: str
    severity: str
    message: str
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
        """Store an alert, and send it unless that was done within a week."""
        key = alert.type, alert.feature, alert.severity
        row = *key, alert.message, now.isoformat()
        with self._database() as database:
            database.execute("INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?, ?, NULL, NULL)", row)
            query = f"SELECT last_sent FROM alerts {OF_ALERT}"
            (sent,) = database.execute(query, key).fetchone()
        is_due = sent is None or now - datetime.fromisoformat(sent) >= REPEAT_AFTER
        return is_due and self._send(alert, now)

    def resolve(self, healthy: set[tuple[str, str]], now: datetime) -> None:
        """Send the end of each open alert whose type and feature are healthy."""
        for alert in self.open_alerts():
            if (alert.type, alert.feature) in healthy:
                self._send(replace(alert, resolved=True), now)

    def open_alerts(self) -> list[Alert]:
        """Return the open alerts, oldest first."""
        query = "SELECT type, feature, severity, message FROM alerts WHERE resolved IS NULL"
        with self._database() as database:
            return [Alert(*row) for row in database.execute(f"{query} ORDER BY opened")]

    def _send(self, alert: Alert, now: datetime) -> bool:
        """Notify every receiver; the next run repeats it unless all accepted it."""
        print(alert.text)
        failures = []
        for name, url in receivers(alert).items():
            try:
                deliver(name, url, alert)
            except OSError as error:
                failures.append(f"  {name}: {type(error).__name__}; the next run sends it again")
        print(*failures, sep="\n", end="\n" if failures else "")
        if not failures:
            update = f"UPDATE alerts SET {'resolved' if alert.resolved else 'last_sent'} = ?"
            row = now.isoformat(), alert.type, alert.feature, alert.severity
            with self._database() as database:
                database.execute(f"{update} {OF_ALERT}", row)
        return not failures

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
        options = f"action=map&image=no&dedup={quote(f'{alert.type}:{alert.feature}')}"
        urls["PagerDuty"] = f"pagerduty://{env['PAGERDUTY_ROUTING_KEY']}@events/features?{options}"
    return urls


@retry(stop=stop_after_attempt(3), wait=wait_exponential(multiplier=0.2), reraise=True)
def deliver(name: str, url: str, alert: Alert) -> None:
    """Send to one receiver, with two more attempts; OSError if all fail."""
    if name == "Slack":  # apprise knows Slack's own host only; many chat servers take `text`
        requests.post(url, json={"text": alert.text}, timeout=5).raise_for_status()
        return
    kind = "success" if alert.resolved else "failure" if alert.severity == "critical" else "warning"
    service = apprise.Apprise()
    service.add(url)
    if not service.notify(alert.message, title=alert.text, notify_type=kind):
        raise ConnectionError
