"""A prediction log from which each served row can be found again, in files that do not stay.

A line also has the event time of each stored view, the end of the newest materialization, flags.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from feast import FeatureStore, FeatureView
from prometheus_client import Counter

from exercise_04_serving.app.cache import Features
from exercise_04_serving.app.model import PredictionLog, service_log
from exercise_04_serving.production.online_reader import CompiledReader
from feast_plugins.online_features import OnlineFeatures
from lab.learn import utc_now

TIME = ":event_time"  # `view:event_time` is a row's note of a view's event time
STALE_AFTER = timedelta(hours=3)  # materializations run hourly; exercise 6 has the same limit
ERRORS = Counter("prediction_log_errors", "Scored rows that were not logged")


class NotingReader(CompiledReader):
    """Adds notes to the features: the event time of each view."""

    def __init__(
        self, store: FeatureStore, service_name: str, timeout_s: float, read_concurrency: int
    ) -> None:
        super().__init__(store, service_name, timeout_s, read_concurrency)
        views = [*self.batch_views, self.streaming_view]
        self.names = [*self.features, *(view.name + TIME for view in views)]  # of all in a row
        self.materialized_until: dict[str, str] = {}
        self._runs_key = f"materialized_until:{store.project}"

    def _rows(self, view: FeatureView, found: OnlineFeatures) -> list[Features]:
        times: list[Any] = [m.isoformat() if m else None for m in found.event_times[view.name]]
        rows = super()._rows(view, found)
        return [row | {view.name + TIME: time} for row, time in zip(rows, times, strict=True)]

    async def _look(self) -> None:
        """Look for new materializations as often as for progress."""
        await super()._look()
        self.materialized_until = await self._redis.hgetall(self._runs_key)


class TracedLog(PredictionLog):
    """A log whose lines name the source of each input, in a file for each day and process.

    `file` is their common name: served.jsonl gives served-2026-06-01-4711.jsonl. Several processes
    cannot rotate one file. The first line of a day deletes old files.
    """

    def __init__(self, file: Path, days: int, reader: NotingReader) -> None:
        self._common, self._days, self._reader = file, days, reader
        super().__init__(file)

    def append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Append lines to the day's file, and count those that are lost. Raises OSError."""
        described = [line | self._described(line["inputs"]) for line in lines]
        todays = self._named(f"{utc_now():%Y-%m-%d}-{os.getpid()}")
        if self.file != todays:
            self.file = todays
            self._delete_old()
        try:
            super().append(described)
        except OSError:
            ERRORS.inc(len(described))
            raise

    def _named(self, part: str) -> Path:
        return self._common.with_name(f"{self._common.stem}-{part}{self._common.suffix}")

    def _delete_old(self) -> None:
        """Delete the files of all processes that are older than the retention."""
        oldest = self._named(f"{utc_now() - timedelta(days=self._days):%Y-%m-%d}")
        named = (glob.escape(part) for part in (f"{self._common.stem}-", self._common.suffix))
        for file in self._common.parent.glob("????-??-??-*".join(named)):
            try:
                if file.name < oldest.name:
                    file.unlink(missing_ok=True)
            except OSError as error:
                service_log.error("an old log of predictions was not deleted: %s", error)

    def _described(self, inputs: Features) -> dict[str, Any]:
        """Return the inputs, and what their notes mean."""
        return {
            "inputs": {name: value for name, value in inputs.items() if ":" not in name},
            "event_times": {
                name.removesuffix(TIME): time
                for name, time in inputs.items()
                if name.endswith(TIME)
            },
            "materialized_until": self._reader.materialized_until,
            "flags": [*self._flags(inputs)],
        }

    def _flags(self, inputs: Features) -> Iterator[str]:
        """Yield unknown where an input is so, stale where materialization is late."""
        if self._reader.missing(inputs):
            yield "unknown"
        ends = self._reader.materialized_until
        oldest = min((ends.get(view.name, "") for view in self._reader.batch_views), default="")
        if not oldest or utc_now() - datetime.fromisoformat(oldest) > STALE_AFTER:
            yield "stale"
