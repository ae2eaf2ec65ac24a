"""Says what is wrong, and what no longer is: on the console, and to every configured receiver."""

from collections.abc import Collection, Iterable

from rich.console import Console
from rich.markup import escape

from exercise_06_monitoring.production.alerts.channels import configured
from exercise_06_monitoring.production.alerts.delivery import deliver
from exercise_06_monitoring.production.alerts.ledger import close_alerts, open_alert
from exercise_06_monitoring.production.alerts.notice import Alert, Notice
from exercise_06_monitoring.production.check import counted
from lab.settings import utc_now

console = Console()


def announce(alerts: Iterable[Alert], looked_at: Collection[str] = ()) -> list[Notice]:
    """Send the alerts that are news, and the end of the open ones that are not among them.

    `looked_at` are the types of which `alerts` has all: others may still be wrong. Returns what was
    news; a receiver that could not be reached is told on the console, and asked again next time.
    """
    alerts, now, channels = list(alerts), utc_now(), configured()
    opened = [open_alert(alert, now, channels) for alert in alerts]
    closed = close_alerts(looked_at, {alert.key for alert in alerts}, now, channels)
    news = [notice for notice in opened if notice] + closed
    for notice in news:
        console.print(
            f"{escape(notice.title)}\n  {escape(notice.text)}", highlight=False, soft_wrap=True
        )
    if silent := opened.count(None):
        console.print(
            f"  {counted(silent, 'open alert')} not sent again yet", highlight=False, soft_wrap=True
        )
    for failure in deliver(channels):
        console.print(f"  not delivered: {escape(failure)}", highlight=False, soft_wrap=True)
    return news
