"""Days on which a check failed: no later reference contains them.

A reference that contains an incident forgives it, and raises an alarm when the incident is over.
"""

from datetime import date, datetime

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.state import earlier_runs, open_database

TABLE = """CREATE TABLE IF NOT EXISTS alerted_days (
    type TEXT, feature TEXT, day TEXT, PRIMARY KEY (type, feature, day)
)"""


def record_alerted_day(check: Check, now: datetime) -> None:
    """Record the day if the check failed; a rerun for an earlier time records nothing."""
    if check.passed is False and earlier_runs(now)[0]:
        with open_database() as database:
            database.execute(TABLE)
            row = (check.type, check.feature, now.date().isoformat())
            database.execute("INSERT OR IGNORE INTO alerted_days VALUES (?, ?, ?)", row)


def alerted_days(type_: str, feature: str) -> set[date]:
    """Return the days on which this check failed."""
    with open_database() as database:
        database.execute(TABLE)
        query = "SELECT day FROM alerted_days WHERE type = ? AND feature = ?"
        return {date.fromisoformat(day) for (day,) in database.execute(query, (type_, feature))}
