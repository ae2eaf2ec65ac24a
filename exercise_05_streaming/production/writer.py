"""The solution's writer for a Redis that may be unavailable, killed or emptied.

Any number of writers may run at once: a script in Redis compares versions. To write every user
again, delete the progress time: `redis-cli DEL user_streaming_features:progress`.
"""

import time
from collections.abc import Callable
from threading import Event

import polars as pl
import redis

from exercise_05_streaming.production.redis_sink import RedisSink, time_ms
from exercise_05_streaming.progress import Progress
from exercise_05_streaming.topics import TopicReader
from exercise_05_streaming.writer import TileStore, Writer
from lab.errors import UserError
from lab.settings import settings


class ResilientWriter(Writer):
    """Retry while Redis is unavailable; write every user again when Redis may have lost rows."""

    def __init__(self, generation: int, progress: Callable[[], int] | None = None) -> None:
        store = TileStore()
        self._sink = RedisSink(generation, store)
        progress = progress or Progress(generation, lambda: time_ms(self._sink.client))
        super().__init__(generation, store, self._write_rows, progress)
        self._failing_since: float | None = None

    def follow(self, topic: TopicReader) -> None:
        """Follow the topic. Raises UserError when Redis has been unavailable for too long."""
        try:
            super().follow(topic)
        except redis.RedisError as error:
            self._check_timeout(error)

    def publish(self, now_ms: int) -> None:
        """Publish the progress time; first write every user when Redis was restarted."""
        if self._sink.has_restarted():
            self._pending.update(self._store.users())
        else:
            super().publish(now_ms)
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
