"""The monitoring's SQLite database: its runs, what they measured, and the open alerts."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exercise_06_monitoring.alerts import SEVERITIES, Check, monitoring_folder, notify
from lab.learn import utc_now

REPEAT_AFTER = FORGET_AFTER = timedelta(days=7)
LOST_AFTER = timedelta(days=1)
TABLES = """
CREATE TABLE IF NOT EXISTS runs (moment REAL PRIMARY KEY);
CREATE TABLE IF NOT EXISTS measured (
    type TEXT, feature TEXT, seen TEXT, PRIMARY KEY (type, feature)
);
CREATE TABLE IF NOT EXISTS alerts (
    type TEXT, feature TEXT, severity INTEGER, worst INTEGER, message TEXT, last_sent TEXT,
    PRIMARY KEY (type, feature)
);
"""
# A worse severity than the worst so far is news, as if nothing had been sent.
STORE = """INSERT INTO alerts VALUES (?1, ?2, ?3, ?3, ?4, NULL)
ON CONFLICT DO UPDATE SET severity = ?3, worst = max(worst, ?3), message = ?4,
    last_sent = iif(?3 > worst, NULL, last_sent)
RETURNING last_sent"""
OF_ALERT = "WHERE type = ? AND feature = ?"


def open_database() -> closing[sqlite3.Connection]:
    """Open the database, and create the tables that are not there."""
    database = sqlite3.connect(monitoring_folder() / "state.db", timeout=30, isolation_level=None)
    database.executescript(TABLES)
    return closing(database)


def earlier_runs(now: datetime) -> tuple[bool, datetime | None]:
    """Return whether no run was later, and the time of the run before."""
    moment = min(now, utc_now()).timestamp()
    with open_database() as database:
        times = "SELECT max(moment), max(moment) FILTER (WHERE moment < ?) FROM runs"
        [(newest, before)] = database.execute(times, (moment,)).fetchall()
    is_newest = newest is None or newest <= moment
    return is_newest, None if before is None else datetime.fromtimestamp(before, UTC)


def record_run(now: datetime) -> None:
    """Record a run that has ended.

    A time ahead of the clock is recorded as the clock's: it would silence all runs until then.
    """
    with open_database() as database:
        moment = min(now, utc_now()).timestamp()
        database.execute("INSERT OR IGNORE INTO runs VALUES (?)", (moment,))


def check_measured(checks: list[Check], now: datetime) -> Iterator[Check]:
    """Yield a check for each type: are the checks still measured that earlier runs measured?

    It names no feature: nothing is known of one. What a failed check of the same view explains does
    not count, nor do the API's figures, which wait for requests. A check that no run has made for
    a day is lost, too; after a week it is forgotten: its feature was removed.
    """
    results = {(check.type, check.feature): check for check in checks}
    with open_database() as database:
        database.execute("DELETE FROM measured WHERE seen < ?", ((now - FORGET_AFTER).isoformat(),))
        rows = database.execute("SELECT type, feature, seen FROM measured").fetchall()
        before = {(type_, name): datetime.fromisoformat(seen) for type_, name, seen in rows}
        seen = [key for key, check in results.items() if check.passed is not None or key in before]
        rows = [(*key, now.isoformat()) for key in seen]
        database.executemany("INSERT OR REPLACE INTO measured VALUES (?, ?, ?)", rows)
    explained = {(check.type, check.view) for check in checks if check.passed is False}
    absent = Check("", "", None, "")
    for type_ in sorted({key[0] for key in (*before, *results)}):
        found = [
            results.get((type_, name), replace(absent, feature=name))
            for (of_type, name), seen_at in before.items()
            if of_type == type_ and "api." not in name
            if (type_, name) in results or now - seen_at > LOST_AFTER
        ]
        lost = [c for c in found if c.passed is None and (type_, c.view) not in explained]
        severity = max((check.severity for check in lost), key=SEVERITIES.index, default="warning")
        message = f"{len(lost)} checks that earlier runs measured have no value; see the report"
        yield Check("unmeasured", type_, not lost, message, severity)


class AlertState:
    """The table of open alerts; one is open for each type and feature."""

    def update(self, checks: list[Check], now: datetime) -> None:
        """Open the alerts of the failed checks; send and delete those of the passed ones.

        An open alert whose check was not measured stays open, and is sent as if it had failed. The
        end has the worst severity of the alert: every receiver of it learns of the end.
        """
        for check in checks:
            if check.passed is False:
                self.open(check, now)
        results = {(check.type, check.feature): check for check in checks}
        for alert, worst in zip(self.open_alerts(), self._read("worst"), strict=True):
            result = results.get((alert.type, alert.feature), replace(alert, passed=None))
            if result.passed is None:
                self.open(alert, now)
            elif result.passed and notify(replace(result, severity=worst.severity)):
                with open_database() as database:
                    query = f"DELETE FROM alerts {OF_ALERT}"
                    database.execute(query, (alert.type, alert.feature))

    def open(self, alert: Check, now: datetime) -> bool:
        """Store an alert, and send it if it is new or worse, or was last sent a week ago."""
        key, severity = (alert.type, alert.feature), SEVERITIES.index(alert.severity)
        with open_database() as database:
            [(sent,)] = database.execute(STORE, (*key, severity, alert.message)).fetchall()
            age = REPEAT_AFTER if sent is None else now - datetime.fromisoformat(sent)
            is_recent = timedelta() <= age < REPEAT_AFTER  # not after a run ahead of the clock
            if is_recent or not notify(alert):
                return False
            update = f"UPDATE alerts SET last_sent = ? {OF_ALERT}"
            database.execute(update, (now.isoformat(), *key))
        return True

    def open_alerts(self) -> list[Check]:
        """Return the open alerts, oldest first."""
        return self._read("severity")

    def _read(self, severity: str) -> list[Check]:
        """Return the open alerts with their present severity, or the `worst` they had."""
        query = f"SELECT type, feature, message, {severity} FROM alerts ORDER BY rowid"
        with open_database() as database:
            rows = database.execute(query).fetchall()
        return [Check(t, feature, False, text, SEVERITIES[rank]) for t, feature, text, rank in rows]
