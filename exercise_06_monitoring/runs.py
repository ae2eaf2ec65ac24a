"""The times of the runs: a run of an earlier time, made again, changes no alert."""

from datetime import UTC, datetime

from exercise_06_monitoring.alerts import open_database
from lab.learn import utc_now

TABLE = "CREATE TABLE IF NOT EXISTS runs (moment REAL PRIMARY KEY)"


def record_run(now: datetime) -> tuple[bool, datetime | None]:
    """Record a run; return whether no run was later, and the time of the one before it.

    A time ahead of the clock is recorded as the clock's: it would silence all runs until then.
    """
    moment = min(now, utc_now()).timestamp()
    with open_database(TABLE) as database:
        database.execute("INSERT OR IGNORE INTO runs VALUES (?)", (moment,))
        times = "SELECT max(moment), max(moment) FILTER (WHERE moment < ?) FROM runs"
        [(newest, before)] = database.execute(times, (moment,)).fetchall()
    return newest == moment, None if before is None else datetime.fromtimestamp(before, UTC)
