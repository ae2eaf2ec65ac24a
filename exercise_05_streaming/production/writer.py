"""The solution's writer for a Redis that may be unavailable, killed or emptied.

    python -m exercise_05_streaming.production.writer    # write every user again, then end

Any number of writers may run at once: a script in Redis compares versions.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event

import polars as pl
import redis
from confluent_kafka import Message
from pydantic import ValidationError

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.production.redis_sink import RedisSink
from exercise_05_streaming.production.tile_store import PackedTiles
from exercise_05_streaming.progress import Progress
from exercise_05_streaming.topics import TILES, TopicReader, create_topics
from exercise_05_streaming.writer import TileRecord, Writer, newest_possible
from lab.errors import UserError, run_script
from lab.settings import settings


class ResilientWriter(Writer):
    """Retry while Redis is unavailable; write every user again when Redis may have lost rows."""

    def __init__(self, generation: int, progress: Callable[[], int] | None = None) -> None:
        store = PackedTiles()
        self._sink = RedisSink(generation, store)
        progress = progress or Progress(generation, self._sink.time_ms)
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


def newest_generation(records: list[Message]) -> int:
    """Return the generation of the job that counts now."""
    found = [0]
    for record in records:
        with suppress(ValidationError):
            tile = TileRecord.model_validate_json(record.value() or b"")
            found.append(tile.model_dump()["generation"])
    return max(generation for generation in found if generation <= newest_possible())


def rebuild() -> None:
    """Write the features of every user as of the progress time, next to a running job."""
    create_topics()
    published = redis.Redis(settings.host, settings.redis_port).get(PROGRESS_KEY)
    if published is None:
        job = "python -m exercise_05_streaming.production.job"
        raise UserError("Redis holds no progress time: no job has read the log", job)
    start, records = time.monotonic(), list(TopicReader(TILES).to_the_end())
    writer = ResilientWriter(newest_generation(records))
    writer.update(records)
    writer.write_changes(int(published))
    print(f"Rebuilt all users in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    run_script(rebuild)
