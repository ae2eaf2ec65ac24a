"""Which weeks of a backfill are done, so that a killed one goes on where it stopped."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from feast import FeatureStore

from lab.feature_store import MATERIALIZED_VIEWS
from lab.settings import settings


class BackfillJournal:
    """The finished chunks of one range, on one state of the sources; gone when all are finished."""

    def __init__(self, store: FeatureStore, start: datetime, end: datetime) -> None:
        self._start, self._end = start, end
        sources = [store.get_feature_view(view).batch_source.path for view in MATERIALIZED_VIEWS]
        states = [(path, Path(path).stat().st_mtime_ns) for path in sources]
        digest = hashlib.sha256(repr((start, end, states)).encode()).hexdigest()[:16]
        self._file = settings.build_dir / "backfill" / f"{digest}.json"
        self._done: list[str] = json.loads(self._file.read_text()) if self._file.exists() else []

    def remaining(self, chunk: timedelta) -> Iterator[tuple[datetime, datetime]]:
        """The chunks of the range that are not done yet, oldest first."""
        start = self._start
        while start < self._end:
            end = min(start + chunk, self._end)
            if start.isoformat() not in self._done:
                yield start, end
            start = end

    def done(self, start: datetime) -> None:
        """Remember that the chunk that begins at `start` is written."""
        self._done.append(start.isoformat())
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(self._done))
        beside.rename(self._file)

    def close(self) -> None:
        """Forget the range: asked for again, it is written again."""
        self._file.unlink(missing_ok=True)
