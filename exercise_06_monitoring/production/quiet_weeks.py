"""Keep the PSIs of resampled quiet weeks for a week, in the monitoring's database."""

import json
from datetime import datetime

from exercise_06_monitoring.production.drift_limits import Counts, resample
from exercise_06_monitoring.state import open_database
from exercise_06_monitoring.windows import WEEK

TABLE = "CREATE TABLE IF NOT EXISTS quiet_weeks (feature TEXT PRIMARY KEY, moment REAL, psis TEXT)"


def weekly_psis(now: datetime, name: str, counts: Counts) -> list[float]:
    """Return the PSIs of a check's quiet weeks; resample those of a week ago."""
    query = "SELECT psis FROM quiet_weeks WHERE feature = ? AND moment > ? AND moment <= ?"
    with open_database() as database:
        database.execute(TABLE)
        times = (now - WEEK).timestamp(), now.timestamp()
        for (text,) in database.execute(query, (name, *times)):
            return list(json.loads(text))
        psis = resample(name, counts)
        row = name, now.timestamp(), json.dumps(psis)
        database.execute("INSERT OR REPLACE INTO quiet_weeks VALUES (?, ?, ?)", row)
    return psis


def forget_quiet_weeks() -> None:
    """Have all limits resampled, as the reference is another one."""
    with open_database() as database:
        database.execute("DROP TABLE IF EXISTS quiet_weeks")
