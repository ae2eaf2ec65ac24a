"""Which alerts are open, and what has still to be delivered."""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from exercise_06_monitoring.production.alerts.channels import Channel
from exercise_06_monitoring.production.alerts.notice import Alert, Notice, Severity
from exercise_06_monitoring.production.database import transaction
from lab.settings import settings


@dataclass(frozen=True)
class Pending:
    """A notice that its receiver has not taken yet."""

    id: int
    channel: str
    notice: Notice


def open_alert(alert: Alert, now: datetime, channels: Iterable[Channel]) -> Notice | None:
    """Note the alert, and write a notice for each channel that hears of its severity.

    None if it is open already: it is sent again after the cool-down, or when it gets worse.
    """
    with transaction() as database:
        found = database.execute(
            "SELECT * FROM open_alerts WHERE type = ? AND feature = ?", alert.key
        ).fetchone()
        if found and not _is_due(found["severity"], found["last_sent"], alert, now):
            return None
        notice = Notice(alert, found["since"] if found else now.isoformat())
        database.execute(
            "REPLACE INTO open_alerts VALUES (?, ?, ?, ?, ?, ?)",
            (*alert.key, alert.severity, alert.message, notice.since, now.isoformat()),
        )
        database.executemany(
            "INSERT INTO outbox (channel, notice, written) VALUES (?, ?, ?)",
            _rows(notice, now, channels),
        )
    return notice


def close_alerts(
    types: Collection[str],
    still_wrong: Collection[tuple[str, str]],
    now: datetime,
    channels: Iterable[Channel],
) -> list[Notice]:
    """End the open alerts of `types` that are no longer wrong; the notices of their recovery."""
    with transaction() as database:
        over = [
            _notice_of(row, recovered=True)
            for row in database.execute("SELECT * FROM open_alerts").fetchall()
            if row["type"] in types and (row["type"], row["feature"]) not in still_wrong
        ]
        channels = list(channels)
        for notice in over:
            database.execute(
                "DELETE FROM open_alerts WHERE type = ? AND feature = ?", notice.alert.key
            )
            database.executemany(
                "INSERT INTO outbox (channel, notice, written) VALUES (?, ?, ?)",
                _rows(notice, now, channels),
            )
    return over


def open_notices() -> list[Notice]:
    """What is wrong at the moment, the most urgent and then the oldest first."""
    with transaction() as database:
        rows = database.execute("SELECT * FROM open_alerts ORDER BY since").fetchall()
    return sorted(map(_notice_of, rows), key=lambda notice: -notice.alert.severity.rank)


def pending() -> list[Pending]:
    """What is still to be delivered, oldest first."""
    with transaction() as database:
        rows = database.execute("SELECT id, channel, notice FROM outbox ORDER BY id").fetchall()
    return [Pending(row["id"], row["channel"], Notice.from_json(row["notice"])) for row in rows]


def delivered(item: Pending) -> None:
    """Its receiver has it."""
    with transaction() as database:
        database.execute("DELETE FROM outbox WHERE id = ?", (item.id,))


def not_delivered(item: Pending, error: str) -> None:
    """It stays for the next run."""
    with transaction() as database:
        database.execute(
            "UPDATE outbox SET attempts = attempts + 1, error = ? WHERE id = ?", (error, item.id)
        )


def _notice_of(row: sqlite3.Row, *, recovered: bool = False) -> Notice:
    alert = Alert(row["type"], row["feature"], row["message"], Severity(row["severity"]))
    return Notice(alert, row["since"], recovered)


def _is_due(severity: str, last_sent: str, alert: Alert, now: datetime) -> bool:
    is_worse = alert.severity.rank > Severity(severity).rank
    return is_worse or now - datetime.fromisoformat(last_sent) >= settings.alert_cooldown


def _rows(notice: Notice, now: datetime, channels: Iterable[Channel]) -> list[tuple[str, str, str]]:
    return [
        (channel.name, notice.to_json(), now.isoformat())
        for channel in channels
        if notice.alert.severity.rank >= channel.least.rank
    ]
