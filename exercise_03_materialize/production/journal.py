"""A backfill that resumes after a kill, by the weeks that are finished."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from feast import FeatureStore

from exercise_03_materialize.materialize import VIEWS, backfill_features
from lab.feature_store import connect_redis, open_store


class BackfillJournal(set[datetime]):
    """The starts of the finished chunks of one range, stored in Redis; deleted when all are.

    The key depends on the sources and the features. The journal is stored in Redis, as the features
    are: a journal in a file would leave holes in a Redis that was emptied meanwhile.
    """

    def __init__(
        self, store: FeatureStore, client: redis.Redis, start: datetime, end: datetime
    ) -> None:
        self._client = client
        views = [store.get_feature_view(view) for view in VIEWS]
        features = [(view.name, field.name) for view in views for field in view.features]
        files = [Path(view.batch_source.path) for view in views]
        states = [(file, file.stat().st_mtime_ns) for file in files]
        digest = hashlib.sha256(repr((start, end, features, states)).encode()).hexdigest()[:16]
        self._key = f"backfill:{digest}:{store.project}"
        stored: Any = client.smembers(self._key)
        super().__init__(datetime.fromisoformat(member.decode()) for member in stored)

    def add(self, start: datetime) -> None:
        """Record that the chunk that begins at `start` is written."""
        super().add(start)
        self._client.sadd(self._key, start.isoformat())

    def close(self) -> None:
        """Delete the journal: the next backfill of the range writes all of it."""
        self._client.delete(self._key)


def resumable_backfill(start: datetime, end: datetime) -> None:
    """Backfill a range; after a kill the next call continues with the first unfinished week."""
    journal = BackfillJournal(open_store(), connect_redis(), start, end)
    backfill_features(start, end, journal)
    journal.close()
