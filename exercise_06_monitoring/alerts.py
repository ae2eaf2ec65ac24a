"""Store open alerts in SQLite, and send them to Slack, by mail and to PagerDuty.

SLACK_WEBHOOK_URL, SMTP_HOST, SMTP_PORT, ALERT_EMAIL_TO and PAGERDUTY_ROUTING_KEY name the
receivers. An address is a secret: none is printed, and apprise, which logs them, is silent.
"""

import logging
import os
import sqlite3
from contextlib import closing
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
TABLE = """CREATE TABLE IF NOT EXISTS open_alerts (
    type TEXT, feature TEXT, severity TEXT, message TEXT, last_sent TEXT,
    PRIMARY KEY (type, feature, severity)
)"""
STORE = """INSERT INTO open_alerts VALUES (?, ?, ?, ?, NULL)
ON CONFLICT DO UPDATE SET message = excluded.message RETURNING last_sent"""
OF_ALERT = "WHERE type = ? AND feature = ? AND severity = ?"
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Check:
    """A check of a feature, view or service, and the alert that it opens if it fails.

    `passed` is None where nothing was measured: that opens no alert and resolves none.
    """

    type: str  # drift, data_quality or serving
    feature: str
    passed: bool | None
    message: str
    severity: str = "warning"

    @property
    def text(self) -> str:
        state = "RESOLVED" if self.passed else self.severity.upper()
        return f"[{state}] {self.type}: {self.feature}: {self.message}"


def monitoring_folder() -> Path:
    """Return the folder of the alerts and the reports."""
    folder = settings.data_dir / "monitoring"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class AlertState:
    """The table of open alerts; one is open for each type, feature and severity."""

    def update(self, checks: list[Check], now: datetime) -> None:
        """Open the alerts of the failed checks; send and delete those of the passed ones.

        An open alert whose check was not measured stays open, and is sent as if it had failed.
        """
        for check in checks:
            if check.passed is False:
                self.open(check, now)
        results = {(check.type, check.feature): check for check in checks}
        for alert in self.open_alerts():
            result = results.get((alert.type, alert.feature), replace(alert, passed=None))
            if result.passed is None:
                self.open(alert, now)
            elif result.passed and notify(replace(result, severity=alert.severity)):
                with open_database(TABLE) as database:
                    key = alert.type, alert.feature, alert.severity
                    database.execute(f"DELETE FROM open_alerts {OF_ALERT}", key)

    def open(self, alert: Check, now: datetime) -> bool:
        """Store an alert, and send it unless that was done within a week."""
        key = alert.type, alert.feature, alert.severity
        with open_database(TABLE) as database:
            [(sent,)] = database.execute(STORE, (*key, alert.message)).fetchall()
            is_recent = sent is not None and now - datetime.fromisoformat(sent) < REPEAT_AFTER
            if is_recent or not notify(alert):
                return False
            update = f"UPDATE open_alerts SET last_sent = ? {OF_ALERT}"
            database.execute(update, (now.isoformat(), *key))
        return True

    def open_alerts(self) -> list[Check]:
        """Return the open alerts, oldest first."""
        query = "SELECT type, feature, message, severity FROM open_alerts ORDER BY rowid"
        with open_database(TABLE) as database:
            rows = database.execute(query).fetchall()
        return [Check(type_, feature, False, *rest) for type_, feature, *rest in rows]


def open_database(table: str) -> closing[sqlite3.Connection]:
    """Open the database of the monitoring, and create a table that is not there."""
    database = sqlite3.connect(monitoring_folder() / "alerts.db", timeout=30, isolation_level=None)
    database.execute(table)
    return closing(database)


def notify(alert: Check) -> bool:
    """Print an alert, and send it to every receiver; False unless all accepted it."""
    print(alert.text)
    is_sent = True
    for name, url in receivers(alert).items():
        try:
            deliver(name, url, alert)
        except OSError as error:
            print(f"  {name}: {type(error).__name__}; the next run sends it again")
            is_sent = False
    return is_sent


def receivers(alert: Check) -> dict[str, str]:
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
def deliver(name: str, url: str, alert: Check) -> None:
    """Send to one receiver, with two more attempts; OSError if all fail."""
    if name == "Slack":  # apprise knows Slack's own host only; many chat servers take `text`
        requests.post(url, json={"text": alert.text}, timeout=5).raise_for_status()
        return
    service, kind = apprise.Apprise(), "success" if alert.passed else "failure"
    service.add(url)
    if not service.notify(alert.message, title=alert.text, notify_type=kind):
        raise ConnectionError
