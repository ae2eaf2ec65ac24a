"""A prediction log from which each served row can be found again, in files that do not stay.

A line also has the event time of each stored view, the end of the newest materialization, flags.
"""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feast import FeatureStore
from prometheus_client import Counter

from exercise_04_serving.app.cache import FeatureCache, Features, Key
from exercise_04_serving.app.features import LOOK_S, View
from exercise_04_serving.app.prediction_log import PredictionLog, PrivateFile
from exercise_04_serving.production.local_cache import LocalCache
from exercise_04_serving.production.online_reader import CompiledReader
from feast_plugins.online_features import OnlineFeatures
from lab.learn import utc_now

TIME, CACHED = "event_time", "cached"  # the names of a row's notes are `view:event_time` and so on
STALE_AFTER = timedelta(hours=3)  # materializations run hourly; exercise 6 has the same limit
ERRORS = Counter("prediction_log_errors", "Scored rows that were not logged")


class NotingReader(CompiledReader):
    """Adds notes to the features: each view's event time, and that no cache was used."""

    def __init__(
        self, store: FeatureStore, service_name: str, timeout_s: float, read_concurrency: int
    ) -> None:
        super().__init__(store, service_name, timeout_s, read_concurrency)
        views = [*self.batch_views, *self.streaming_views]
        self.times = [f"{view.name}:{TIME}" for view in views]
        self.cached = [f"{view.entity}:{CACHED}" for view in self.batch_views]
        self.names = [*self.features, *self.times, *self.cached]  # of all that a row has
        self.materialized_until: dict[str, str] = {}
        self._runs_key, self._next_run_look = f"materialized_until:{store.project}", 0.0

    async def read_batch(self, keys: Collection[Key]) -> dict[Key, Features]:
        """Return the batch features with notes. Raises redis.RedisError."""
        rows = await super().read_batch(keys)
        return {key: row | {f"{key[0]}:{CACHED}": 0.0} for key, row in rows.items()}

    def missing(self, features: Features) -> list[str]:
        """Return the names of unknown features; notes are none."""
        return super().missing({name: features[name] for name in self.features})

    def _add(self, rows: list[Features], view: View, found: OnlineFeatures) -> None:
        super()._add(rows, view, found)
        for row, moment in zip(rows, found.event_times[view.name], strict=True):
            row[f"{view.name}:{TIME}"] = moment.timestamp() if moment else None

    async def progress(self) -> float | None:
        """Return the progress time; look for new materializations as often. Raises RedisError."""
        if time.monotonic() > self._next_run_look:
            self._next_run_look = time.monotonic() + LOOK_S
            ends = await self._redis.hgetall(self._runs_key)
            self.materialized_until = {view.decode(): end.decode() for view, end in ends.items()}
        return await super().progress()


class NotingCache(FeatureCache):
    """Notes of each entry that it was cached."""

    async def set_many(self, version: str, rows: Mapping[Key, Features]) -> None:
        """Store features."""
        cached = {key: row | {f"{key[0]}:{CACHED}": 1.0} for key, row in rows.items()}
        await super().set_many(version, cached)


class NotingLocalCache(NotingCache, LocalCache):
    """The same in the process."""


class DailyFile(PrivateFile):
    """A file for each day and process, readable by its user only; old ones are deleted.

    `file` is their common name: served.jsonl gives served-2026-06-01-4711.jsonl. Several processes
    cannot rotate one file.
    """

    def __init__(self, file: Path, days: int) -> None:
        self._file, self._days, self._day = file, days, ""
        super().__init__(file, delay=True)

    def emit(self, record: Any) -> None:
        """Write a line; the first of a day opens the day's file."""
        try:
            self._open_days_file()
            super().emit(record)  # opens the file, and reports only what fails after that
        except OSError:
            self.handleError(record)

    def _open_days_file(self) -> None:
        if self._day != (today := f"{utc_now():%Y-%m-%d}"):
            self.close()
            self.baseFilename = str(self._named(f"{today}-{os.getpid()}"))
            self._day = today
            self.delete_old()

    def delete_old(self) -> None:
        """Delete the files of all processes that are older than the retention."""
        oldest = self._named(f"{utc_now() - timedelta(days=self._days):%Y-%m-%d}")
        for file in self._file.parent.glob(self._named("????-??-??-*").name):
            if file.name < oldest.name:
                file.unlink(missing_ok=True)

    def handleError(self, record: Any) -> None:
        """Count it, too."""
        ERRORS.inc()
        super().handleError(record)

    def _named(self, part: str) -> Path:
        return self._file.with_name(f"{self._file.stem}-{part}{self._file.suffix}")


class TracedLog(PredictionLog):
    """A log whose lines name the source of each input."""

    def __init__(self, file: Path, days: int, reader: NotingReader) -> None:
        super().__init__(DailyFile(file, days))
        self._reader = reader

    def describe(self, inputs: Features) -> dict[str, Any]:
        """Return the inputs, and what their notes mean."""
        names = [name for name in inputs if ":" not in name]
        return {
            "inputs": {name: inputs[name] for name in names},
            "event_times": {
                note.partition(":")[0]: utc_text(inputs[note]) for note in self._reader.times
            },
            "materialized_until": self._reader.materialized_until,
            "flags": [*self._flags(inputs)],
        }

    def _flags(self, inputs: Features) -> Iterator[str]:
        """Yield unknown, cached, stale where a part of the inputs was so."""
        if self._reader.missing(inputs):
            yield "unknown"
        if any(inputs[note] for note in self._reader.cached):
            yield CACHED
        ends = self._reader.materialized_until
        oldest = min((ends.get(view.name, "") for view in self._reader.batch_views), default="")
        if not oldest or utc_now() - datetime.fromisoformat(oldest) > STALE_AFTER:
            yield "stale"


def utc_text(seconds: float | None) -> str | None:
    """Return a time in ISO 8601."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
