"""What each run found, by job and period: for history, and to notice a run that is missing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from exercise_06_monitoring.production.database import transaction
from lab.settings import settings, utc_now

Job = Literal["drift", "quality"]
PERIODS: dict[Job, timedelta] = {"drift": timedelta(days=1), "quality": timedelta(hours=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """A finished run; `results` are plain data by name."""

    job: Job
    as_of: datetime
    seconds: float
    results: dict[str, Any]
    finished: datetime = field(default_factory=utc_now)

    @property
    def period(self) -> datetime:
        """The day or hour that it is about; a later run of the same takes its place."""
        return period_of(self.job, self.as_of)


def period_of(job: Job, moment: datetime) -> datetime:
    """The beginning of the day or hour, in UTC, that a run at `moment` is about."""
    return EPOCH + (moment - EPOCH) // PERIODS[job] * PERIODS[job]


def save(run: Run, *, scheduled: bool = False) -> None:
    """Keep a run in the place of an earlier one of its period; forget what is too old to matter."""
    key = (run.job, run.period.isoformat())
    facts = (run.as_of.isoformat(), run.finished.isoformat(), run.seconds, scheduled)
    rows = [(*key, name, json.dumps(result)) for name, result in run.results.items()]
    oldest = (run.as_of - settings.monitoring_memory).isoformat()
    with transaction() as database:
        database.execute("REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", (*key, *facts))
        database.execute("DELETE FROM results WHERE job = ? AND period = ?", key)
        database.executemany("INSERT INTO results VALUES (?, ?, ?, ?)", rows)
        for table in ("runs", "results"):
            database.execute(f"DELETE FROM {table} WHERE period < ?", (oldest,))


def fill(job: Job, past: Mapping[datetime, Mapping[str, Any]]) -> None:
    """Keep results of moments before the first run, where there are none; they make no run."""
    rows = [
        (job, period_of(job, moment).isoformat(), name, json.dumps(result))
        for moment, results in past.items()
        for name, result in results.items()
    ]
    with transaction() as database:
        database.executemany("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)", rows)


def latest(job: Job) -> Run | None:
    """The run of the youngest period; None before the first."""
    with transaction() as database:
        row = database.execute(
            "SELECT * FROM runs WHERE job = ? ORDER BY period DESC LIMIT 1", (job,)
        ).fetchone()
        if row is None:
            return None
        results = database.execute(
            "SELECT name, result FROM results WHERE job = ? AND period = ? ORDER BY rowid",
            (job, row["period"]),
        ).fetchall()
    found = {result["name"]: json.loads(result["result"]) for result in results}
    as_of, finished = (datetime.fromisoformat(row[name]) for name in ("as_of", "finished"))
    return Run(job, as_of, row["seconds"], found, finished)


def history(job: Job, name: str) -> Mapping[datetime, Any]:
    """A result of every period, oldest first."""
    with transaction() as database:
        rows = database.execute(
            "SELECT period, result FROM results WHERE job = ? AND name = ? ORDER BY period",
            (job, name),
        ).fetchall()
    return {datetime.fromisoformat(row["period"]): json.loads(row["result"]) for row in rows}


def missed(job: Job, as_of: datetime) -> int:
    """How many scheduled runs lie between the last one and this period; 0 before the first.

    Runs by hand do not count: nobody waits for them.
    """
    period = period_of(job, as_of)
    with transaction() as database:
        (last,) = database.execute(
            "SELECT max(period) FROM runs WHERE job = ? AND scheduled AND period < ?",
            (job, period.isoformat()),
        ).fetchone()
    if last is None:
        return 0
    return (period - datetime.fromisoformat(last)) // PERIODS[job] - 1
