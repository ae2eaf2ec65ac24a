"""The monitoring's SQLite database: its runs, what they measured, and the open alerts."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

from exercise_06_monitoring.alerts import SEVERITIES, Check, monitoring_folder, notify
from lab.learn import UserError, utc_now

TABLES = """
CREATE TABLE IF NOT EXISTS runs (moment REAL PRIMARY KEY);
CREATE TABLE IF NOT EXISTS measured (type TEXT, feature TEXT, PRIMARY KEY (type, feature));
CREATE TABLE IF NOT EXISTS open_alerts (
    type TEXT, feature TEXT, severity INTEGER, message TEXT, is_sent INTEGER DEFAULT 0,
    PRIMARY KEY (type, feature)
);
"""
# An alert keeps its worst severity. A worse one is news, as if nothing had been sent.
STORE = """INSERT INTO open_alerts (type, feature, severity, message) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET severity = max(severity, ?3), message = ?4,
    is_sent = is_sent AND ?3 <= severity
RETURNING is_sent, severity"""


@contextmanager
def open_database() -> Iterator[sqlite3.Connection]:
    """Open the database, and create the tables that are not there; UserError if it is damaged."""
    file = monitoring_folder() / "state.db"
    try:
        with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as database:
            database.executescript(TABLES)
            yield database
    except sqlite3.DatabaseError as error:
        problem = f"the database of alerts {file} cannot be used: {error}"
        next_step = f"df -h {file.parent}; if it is damaged: mv {file} {file}.bad"
        raise UserError(problem, next_step) from error


def earlier_runs(now: datetime) -> tuple[bool, datetime | None]:
    """Return whether no run was later, and the time of the run before.

    A run of a clock that was ahead, and was corrected, does not count: it is in the future.
    """
    query = """SELECT ?1 >= max(moment) FILTER (WHERE moment <= ?2),
    max(moment) FILTER (WHERE moment < ?1) FROM runs"""
    with open_database() as database:
        clock = utc_now().timestamp()
        moments = min(now.timestamp(), clock), clock
        [(is_newest, before)] = database.execute(query, moments).fetchall()
    return is_newest != 0, before and datetime.fromtimestamp(before, UTC)


def record_run(now: datetime) -> None:
    """Record a run that has ended.

    A time ahead of the clock is recorded as the clock's: it would silence all runs until then.
    """
    with open_database() as database:
        moment = min(now, utc_now()).timestamp()
        database.execute("INSERT OR IGNORE INTO runs VALUES (?)", (moment,))


def check_measured(
    checks: list[Check], group: Callable[[Check], str] = attrgetter("type")
) -> Iterator[Check]:
    """Yield a check for each group: are the checks still measured that earlier runs measured?

    It names no feature: nothing is known of one. Where a check of a view has failed, its lost
    checks do not count: they have the same cause.
    """
    explained = {(check.type, check.view) for check in checks if check.passed is False}
    with open_database() as database:
        before = set(database.execute("SELECT type, feature FROM measured"))
        names = [(check.type, check.feature) for check in checks if check.passed is not None]
        insert = "INSERT OR IGNORE INTO measured (type, feature) VALUES (?, ?)"
        database.executemany(insert, names)
    for name in sorted({group(check) for check in checks}):
        lost = [
            check
            for check in checks
            if group(check) == name and check.passed is None
            if (check.type, check.feature) in before and (check.type, check.view) not in explained
        ]
        severity = max((check.severity for check in lost), key=SEVERITIES.index, default="warning")
        message = f"{len(lost)} checks that earlier runs measured have no value; see the report"
        yield Check("unmeasured", name, not lost, message, severity)


class AlertState:
    """The table of open alerts; one is open for each type and feature."""

    def group(self, check: Check) -> str:
        """Return the name of the alert that a lost measurement opens."""
        return check.type

    def update(self, checks: list[Check]) -> None:
        """Open the alerts of the failed checks, critical ones first; end those of the passed ones.

        An open alert whose check was not measured stays open, and is sent as if it had failed. The
        message that resolves an alert has its worst severity, so it reaches the same receivers.
        """
        failed = [check for check in checks if check.passed is False]
        for check in sorted(failed, key=lambda check: -SEVERITIES.index(check.severity)):
            self.open(check)
        results = {(check.type, check.feature): check for check in checks}
        for alert in self.open_alerts():
            key = (alert.type, alert.feature)
            if key not in results or results[key].passed is None:
                self.open(alert)
            elif results[key].passed and notify(replace(results[key], severity=alert.severity)):
                with open_database() as database:
                    database.execute("DELETE FROM open_alerts WHERE type = ? AND feature = ?", key)

    def open(self, alert: Check) -> bool:
        """Store an alert, and send it if it is new or worse, or was not delivered before."""
        key, severity = (alert.type, alert.feature), SEVERITIES.index(alert.severity)
        with open_database() as database:
            [(is_sent, worst)] = database.execute(STORE, (*key, severity, alert.message)).fetchall()
            if is_sent or not notify(replace(alert, severity=SEVERITIES[worst])):
                return False
            update = "UPDATE open_alerts SET is_sent = 1 WHERE type = ? AND feature = ?"
            database.execute(update, key)
        return True

    def open_alerts(self) -> list[Check]:
        """Return the open alerts, oldest first."""
        query = "SELECT type, feature, message, severity FROM open_alerts ORDER BY rowid"
        with open_database() as database:
            rows = database.execute(query).fetchall()
        return [Check(t, feature, False, text, SEVERITIES[rank]) for t, feature, text, rank in rows]
