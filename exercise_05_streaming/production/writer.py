"""The solution's writer for a Redis that may be unavailable, killed or emptied.

    python -m exercise_05_streaming.production.writer    # write every user again, then end

Any number of writers may run at once: a script in Redis compares versions.
"""

import time
from collections.abc import Callable
from threading import Event

import polars as pl
import redis

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.production.redis_sink import RedisSink
from exercise_05_streaming.production.tile_store import PackedTiles
from exercise_05_streaming.progress import Progress
from exercise_05_streaming.topics import TILES, create_topics
from exercise_05_streaming.writer import TileStore, TopicReader, Writer
from lab.errors import UserError, run_script
from lab.settings import settings


class ResilientWriter(Writer):
    """Retry while Redis is unavailable; write every user again when Redis may have lost rows."""

    def __init__(
        self, store: TileStore, sink: RedisSink, progress_ms: Callable[[], int] | None = None
    ) -> None:
        super().__init__(store, self._write_rows, progress_ms or Progress(sink.time_ms))
        self._sink = sink
        self._failing_since: float | None = None

    def follow(self, topic: TopicReader) -> None:
        """Follow the topic. Raises UserError when Redis has been unavailable for too long."""
        try:
            super().follow(topic)
        except redis.RedisError as error:
            self._check_timeout(error)

    def publish(self) -> None:
        """Publish the progress time; first write every user when Redis was restarted."""
        if self._sink.has_restarted():
            self.pending.update(self._store.users())
        else:
            super().publish()
        self._failing_since = None

    def _write_rows(self, rows: pl.DataFrame, now_ms: int) -> None:
        self._sink.write(rows, now_ms)
        self._failing_since = None

    def _check_timeout(self, error: redis.RedisError) -> None:
        now, timeout_s = time.monotonic(), settings.writer_timeout_s
        if self._failing_since is None:
            self._failing_since = now
            print(f"Redis is unavailable, retrying: {error}", flush=True)
        if now - self._failing_since > timeout_s:
            problem = f"Redis at {settings.redis_address} was unavailable for {timeout_s:g} s"
            raise UserError(f"{problem}: {error}", "lab up redis") from error
        Event().wait(settings.tiles_poll_s)


def new_writer() -> ResilientWriter:
    """Return a writer with every production part."""
    store = PackedTiles()
    return ResilientWriter(store, RedisSink(store))


def rebuild() -> None:
    """Write the features of every user as of the progress time, next to a running job."""
    create_topics()
    published = redis.Redis(settings.host, settings.redis_port).get(PROGRESS_KEY)
    if published is None:
        job = "python -m exercise_05_streaming.production.job"
        raise UserError("Redis holds no progress time: no job has read the log", job)
    start, store = time.monotonic(), PackedTiles()
    writer = ResilientWriter(store, RedisSink(store), lambda: int(published))
    writer.advance(TopicReader(TILES))
    while writer.pending:
        writer.flush()
    print(f"Rebuilt all users in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    run_script(rebuild)
