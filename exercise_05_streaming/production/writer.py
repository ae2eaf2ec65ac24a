"""The solution's writer for a Redis that may be unavailable, killed or emptied.

    python -m exercise_05_streaming.production.writer             # until the job's process ends
    python -m exercise_05_streaming.production.writer --rebuild   # write every user, then end

Any number of writers may run at once: a script in Redis compares versions.
"""

import os
import signal
import sys
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
        super().__init__(store, sink, progress_ms)
        self._store, self._redis = store, sink
        self._next_check = 0.0
        self._failing_since: float | None = None

    @property
    def user_count(self) -> int:
        """Number of users that have tiles."""
        return len(self._store.users())

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
        """Mark every user as pending after a new connection, or when Redis was emptied."""
        if time.monotonic() > self._next_check or self._failing_since is not None:
            if self._redis.has_lost_rows():
                self._pending.update(self._store.users())
            self._next_check = time.monotonic() + settings.redis_check_s

    def _check_timeout(self, error: redis.RedisError) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
            log(f"Redis is unavailable, retrying: {error}")
        if now - self._failing_since > settings.writer_patience_s:
            problem = f"Redis at {settings.redis_address} was unavailable"
            problem += f" for {settings.writer_patience_s:g} s: {error}"
            raise UserError(problem, "lab up redis") from error
        Event().wait(settings.tiles_poll_s)


def new_writer() -> ResilientWriter:
    """Return a writer with every production part."""
    store = PackedTiles()
    return ResilientWriter(store, RedisSink(store))


def rebuild() -> None:
    """Write the features of every user from the topic of tiles, beside a running job."""
    start, writer = time.monotonic(), new_writer()
    writer.update(TopicReader(TILES).to_the_end())
    writer.flush_all()
    log(f"rebuilt {writer.user_count:,} users in {time.monotonic() - start:.1f} s")


def log(line: str) -> None:
    """Print a line of the writer's log."""
    print(f"writer: {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Run until SIGTERM or Ctrl-C, or until the process that started this one has ended."""
    create_topics()
    if "--rebuild" in sys.argv:
        return rebuild()
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    parent = os.getppid()
    topic, writer = TopicReader(TILES), new_writer()
    writer.update(topic.to_the_end())
    log(f"read the tiles of {writer.user_count:,} users")
    writer.run(topic, lambda: not stopped.is_set() and os.getppid() == parent)
    log("stopped")


if __name__ == "__main__":
    run_script(main)
