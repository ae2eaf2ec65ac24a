"""The ways to a receiver: Slack's webhook, email and PagerDuty.

An address is a secret: whoever has a webhook's URL can post. So no error carries one, and the
libraries, which write it into their own logs, are silent meanwhile.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote, urlencode

import apprise
import requests

from exercise_06_monitoring.production.alerts.notice import Notice, Severity
from lab.settings import settings

TALKATIVE = ("apprise", "urllib3.connectionpool")
TOO_MANY_REQUESTS = 429
KINDS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class DeliveryError(Exception):
    """A receiver did not take a notice; the message names no address.

    A passing one may be gone in a moment: trying again is worth it.
    """

    def __init__(self, message: str, *, passing: bool = True) -> None:
        super().__init__(message)
        self.passing = passing


class Channel(Protocol):
    """One way to a receiver."""

    name: str
    least: Severity

    def send(self, notice: Notice) -> None:
        """Raises DeliveryError."""
        ...


class Slack:
    """An incoming webhook. Apprise knows Slack's own host only; chat servers like it are many."""

    name, least = "slack", Severity.WARNING

    def send(self, notice: Notice) -> None:
        assert settings.slack_webhook_url
        url = settings.slack_webhook_url.get_secret_value()
        body = {"text": f"*{notice.title}*\n{notice.text}"}
        try:
            with silenced():
                answer = requests.post(
                    url, json=body, timeout=settings.alert_timeout_s, allow_redirects=False
                )
        except requests.RequestException as error:
            raise DeliveryError(f"slack: {type(error).__name__}") from None
        if answer.status_code // 100 != 2:
            passing = answer.status_code >= 500 or answer.status_code == TOO_MANY_REQUESTS
            raise DeliveryError(f"slack: HTTP {answer.status_code}", passing=passing)


class Email:
    """SMTP, with STARTTLS and a login where a user is set."""

    name, least = "email", Severity.WARNING

    def send(self, notice: Notice) -> None:
        options = {
            "from": settings.alert_email_from,
            "mode": "starttls" if settings.smtp_user else "insecure",
            "format": "text",
            "cto": settings.alert_timeout_s,
            "rto": settings.alert_timeout_s,
        }
        if settings.smtp_user:
            options["user"] = settings.smtp_user
        if settings.smtp_password:
            options["pass"] = settings.smtp_password.get_secret_value()
        server = f"{settings.smtp_host}:{settings.smtp_port}"
        addresses = [part.strip() for part in str(settings.alert_email_to).split(",")]
        receivers = "/".join(quote(address) for address in addresses)
        _notify(self.name, f"mailto://{server}/{receivers}?{urlencode(options)}", notice)


class PagerDuty:
    """Events API: one incident for each alert, which the recovery resolves."""

    name, least = "pagerduty", Severity.CRITICAL

    def send(self, notice: Notice) -> None:
        assert settings.pagerduty_routing_key
        key = settings.pagerduty_routing_key.get_secret_value()
        options = {"action": "map", "dedup": ":".join(notice.alert.key), "image": "no"}
        _notify(self.name, f"pagerduty://{key}@events/features?{urlencode(options)}", notice)


def _notify(name: str, url: str, notice: Notice) -> None:
    kind = "success" if notice.recovered else KINDS[notice.alert.severity]
    with silenced():
        service = apprise.Apprise()
        is_known = service.add(url)
        sent = is_known and service.notify(
            title=notice.title, body=f"{notice.title}\n{notice.text}", notify_type=kind
        )
    if not is_known:
        raise DeliveryError(f"{name}: its settings are not valid", passing=False)
    if not sent:
        raise DeliveryError(f"{name}: the receiver did not take it")


@contextmanager
def silenced() -> Iterator[None]:
    """The libraries log addresses, some at levels that Airflow shows."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled


def configured() -> list[Channel]:
    """The channels whose variables are set."""
    channels: list[Channel] = []
    if settings.slack_webhook_url and settings.slack_webhook_url.get_secret_value():
        channels.append(Slack())
    if settings.smtp_host and settings.alert_email_to:
        channels.append(Email())
    if settings.pagerduty_routing_key and settings.pagerduty_routing_key.get_secret_value():
        channels.append(PagerDuty())
    return channels
