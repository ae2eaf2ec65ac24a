"""From the outbox to the receivers: with retries, once each, and nothing lost by a failure."""

import time
from collections.abc import Callable, Iterable

from exercise_06_monitoring.production.alerts import ledger
from exercise_06_monitoring.production.alerts.channels import Channel, DeliveryError
from exercise_06_monitoring.production.alerts.ledger import Pending
from exercise_06_monitoring.production.alerts.notice import Notice
from exercise_06_monitoring.production.database import folder
from lab.settings import settings
from lab.stack.lock import locked


def deliver(channels: Iterable[Channel], wait: Callable[[float], None] = time.sleep) -> list[str]:
    """Send what is in the outbox; one sentence for each channel that failed.

    A notice whose channel is no longer configured stays too. A run that is killed between a
    receiver's answer and the note of it sends that notice again.
    """
    with locked(folder() / "delivery", timeout_s=settings.alert_turn_timeout_s):
        waiting = ledger.pending()
        failures = [
            _deliver_to(channel, [item for item in waiting if item.channel == channel.name], wait)
            for channel in channels
        ]
    return [failure for failure in failures if failure]


def _deliver_to(channel: Channel, items: list[Pending], wait: Callable[[float], None]) -> str:
    """Why the last notice that was not taken was not; nothing if all were.

    A receiver that is away is asked no more until the next run: one time-out, not one per alert.
    """
    failure = ""
    for item in items:
        try:
            send_with_retries(channel, item.notice, wait)
        except DeliveryError as error:
            ledger.not_delivered(item, str(error))
            failure = f"{error}; it is kept for the next run"
            if error.passing:
                break
        else:
            ledger.delivered(item)
    return failure


def send_with_retries(channel: Channel, notice: Notice, wait: Callable[[float], None]) -> None:
    """Try again while the trouble may pass, each time after twice the pause."""
    for attempt in range(1, settings.alert_attempts + 1):
        try:
            return channel.send(notice)
        except DeliveryError as error:
            if attempt == settings.alert_attempts or not error.passing:
                raise
            wait(settings.alert_backoff_s * 2 ** (attempt - 1))
