"""Which weeks of a backfill are done, so that a killed one goes on where it stopped."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import redis
from feast import FeatureStore

from lab.errors import UserError
from lab.feature_store import MATERIALIZED_VIEWS


class BackfillJournal:
    """The finished chunks of one range; gone when all are finished.

    Another journal for other sources or other features. It lies in Redis, beside what it describes:
    were it in a file, a Redis that was emptied meanwhile would keep the holes.
    """

    def __init__(
        self, store: FeatureStore, client: redis.Redis, start: datetime, end: datetime
    ) -> None:
        if start >= end:
            raise UserError(
                f"a backfill from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is empty"
            )
        self._client, self._start, self._end = client, start, end
        views = [store.get_feature_view(view) for view in MATERIALIZED_VIEWS]
        features = [(view.name, field.name) for view in views for field in view.features]
        files = [Path(view.batch_source.path) for view in views]
        states = [(file, file.stat().st_mtime_ns) for file in files]
        digest = hashlib.sha256(repr((start, end, features, states)).encode()).hexdigest()[:16]
        self._key = f"backfill:{digest}:{store.project}"

    def remaining(self, chunk: timedelta) -> Iterator[tuple[datetime, datetime]]:
        """The chunks of the range that are not done yet, oldest first."""
        start = self._start
        while start < self._end:
            end = min(start + chunk, self._end)
            if not self._client.sismember(self._key, start.isoformat()):
                yield start, end
            start = end

    def done(self, start: datetime) -> None:
        """Remember that the chunk that begins at `start` is written."""
        self._client.sadd(self._key, start.isoformat())

    def close(self) -> None:
        """Forget the range: asked for again, it is written again."""
        self._client.delete(self._key)
