"""Send an alert to Slack, by mail and to PagerDuty.

SLACK_WEBHOOK_URL, SMTP_HOST, SMTP_PORT, ALERT_EMAIL_TO and PAGERDUTY_ROUTING_KEY name the
receivers. An address is a secret: none is printed, and apprise, which logs them, is silent.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import apprise
import requests
from tenacity import retry, retry_if_not_exception_type, stop_after_attempt, wait_exponential

from lab.learn import UserError, settings

SEVERITIES = ("info", "warning", "critical")
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Check:
    """A check of a feature, view or service, and the alert that it opens if it fails.

    `passed` is None where nothing was measured: that opens no alert and resolves none.
    """

    type: str  # drift, data_quality, serving, prediction, unmeasured or monitoring
    feature: str
    passed: bool | None
    message: str
    severity: str = "warning"

    @property
    def view(self) -> str:
        """The first part of the feature's name, as in view.feature."""
        return self.feature.split(".")[0]

    @property
    def text(self) -> str:
        state = "RESOLVED" if self.passed else self.severity.upper()
        return f"[{state}] {self.type}: {self.feature}: {self.message}"


def monitoring_folder() -> Path:
    """Return the folder of the alerts and the reports."""
    folder = settings.data_dir / "monitoring"
    with explained_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def replace_file(file: Path, text: str) -> Path:
    """Replace a file in one step."""
    temp_path = file.with_suffix(".tmp")
    with explained_errors(file):
        temp_path.write_text(text)
        temp_path.replace(file)
    return file


@contextmanager
def explained_errors(path: Path) -> Iterator[None]:
    """Raise UserError where a path cannot be written, as on a full disk."""
    try:
        yield
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror}"
        raise UserError(problem, f"df -h {path.parent}; ls -l {path.parent}") from error


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


@retry(
    stop=stop_after_attempt(3),
    wait=wait_exponential(multiplier=0.2),
    retry=retry_if_not_exception_type(requests.Timeout),  # with thirty alerts, minutes
    reraise=True,
)
def deliver(name: str, url: str, alert: Check) -> None:
    """Send to one receiver, with two more attempts; OSError if all fail."""
    if name == "Slack":  # apprise knows Slack's own host only; many chat servers take `text`
        answer = requests.post(url, json={"text": alert.text}, timeout=5, allow_redirects=False)
        if answer.status_code >= 300:  # a redirect, to a login for one, delivers nothing
            raise requests.HTTPError
        return
    service, kind = apprise.Apprise(), "success" if alert.passed else "failure"
    service.add(url)
    if not service.notify(alert.message, title=alert.text, notify_type=kind):
        raise ConnectionError
