"""The solution's writer for a Redis that may be unavailable, killed or emptied.

    python -m exercise_05_streaming.production.writer    # write every user again, then end

Any number of writers may run at once: a script in Redis compares versions.
"""

import time
from collections.abc import Callable
from threading import Event

import redis

from exercise_05_streaming.production.redis_sink import RedisSink
from exercise_05_streaming.production.tile_store import PackedTiles
from exercise_05_streaming.topics import TILES, create_topics
from exercise_05_streaming.writer import TileStore, TopicReader, Writer, clock_ms
from lab.errors import UserError, run_script
from lab.settings import settings


class ResilientWriter(Writer):
    """Retry while Redis is unavailable; write every user again when Redis may have lost rows."""

    def __init__(
        self, store: TileStore, sink: RedisSink, progress_ms: Callable[[], int] = clock_ms
    ) -> None:
        super().__init__(store, sink.write, progress_ms)
        self._store, self._redis = store, sink
        self._next_check = 0.0
        self._failing_since: float | None = None

    def flush(self) -> None:
        """Write a batch. Raises UserError when Redis has been unavailable for too long."""
        try:
            self._check_redis()
            super().flush()
            self._failing_since = None
        except redis.RedisError as error:
            self._check_timeout(error)

    def flush_all(self) -> None:
        """Write until every pending user is written."""
        while self._pending or self._failing_since is not None:
            self.flush()

    def _check_redis(self) -> None:
        """Mark every user as pending when Redis was restarted or emptied."""
        if time.monotonic() > self._next_check or self._failing_since is not None:
            if self._redis.has_lost_rows():
                self._pending.update(self._store.users())
            self._next_check = time.monotonic() + settings.redis_check_s

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
    """Write the features of every user from the topic of tiles, next to a running job."""
    create_topics()
    start, writer = time.monotonic(), new_writer()
    writer.update(TopicReader(TILES).to_the_end())
    writer.flush_all()
    print(f"Rebuilt all users in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    run_script(rebuild)
