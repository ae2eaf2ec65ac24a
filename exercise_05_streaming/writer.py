"""Write features to Redis when a tile arrives and when a window moves on.

The writer reads the topic `user_tiles` from its beginning, so a restart needs no state of its own.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

import confluent_kafka as kafka
import polars as pl
import redis
from pydantic import Field, ValidationError, create_model

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY, STREAMING_VIEW
from exercise_05_streaming.progress import Offsets, Progress, end_offsets
from exercise_05_streaming.topics import TILES
from exercise_05_streaming.windows import DAY_S, FEATURES, INTEGERS, TILE, features
from lab.learn import UserError, open_store, settings

VIEW = STREAMING_VIEW
BATCH, POLL_S, LOOK_S, STALLED_S = 1_000, 0.05, 1, 60
OLDEST = kafka.OFFSET_BEGINNING


class TopicReader:
    """All committed records of a topic, from the oldest on; it commits no offset."""

    def __init__(self, topic: str) -> None:
        options = {"bootstrap.servers": settings.kafka_address, "group.id": "reader"}
        options |= {"enable.auto.commit": "false", "enable.partition.eof": "true"}
        options |= {"auto.offset.reset": "earliest", "fetch.wait.max.ms": "50"}
        self._consumer, self._topic = kafka.Consumer(options), topic
        self._read: Offsets = {}  # the next offset of each partition

    def to_the_end(self) -> Iterator[kafka.Message]:
        """Yield what the topic holds now; partitions that were added meanwhile are read, too.

        Raises UserError, which names the partitions, when nothing comes for a minute.
        """
        ends = end_offsets(self._topic)
        new = [kafka.TopicPartition(self._topic, n, OLDEST) for n in ends.keys() - self._read]
        self._consumer.incremental_assign(new)
        self._read = dict.fromkeys(ends, 0) | self._read
        deadline = time.monotonic() + STALLED_S
        while unread := [number for number, end in ends.items() if self._read[number] < end]:
            for record in self.poll():
                deadline = time.monotonic() + STALLED_S
                yield record
            if time.monotonic() > deadline:
                raise UserError(f"Kafka sends nothing of {self._topic}, partitions {unread}")

    def poll(self) -> Iterator[kafka.Message]:
        """Yield new records, or none after 50 ms."""
        for message in self._consumer.consume(BATCH, POLL_S):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is None:
                self._read[partition or 0] = (offset or 0) + 1
                yield message
            elif error.code() == kafka.KafkaError._PARTITION_EOF:
                self._read[partition or 0] = offset or 0  # past the markers of transactions
            else:
                raise kafka.KafkaException(error)


Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Name = Annotated[str, Field(min_length=1, strict=True)]
FIELDS: dict[str, Any] = {"user_id": Name, "generation": Count, **dict.fromkeys(INTEGERS, Count)}
TileRecord = create_model("TileRecord", **FIELDS)  # any other record of the topic is malformed
Tile = tuple[int, ...]  # the values of windows.INTEGERS
Write = Callable[[pl.DataFrame, int], object]  # rows of windows.features, and their time in ms
NO_PAYMENTS: Tile = (0,) * len(INTEGERS)  # in no window, but its user is known


def merge(tiles: dict[int, Tile], tile: Tile) -> dict[int, Tile]:
    """Return a user's tiles with one more, or with another version of one.

    Within a generation a tile only grows, so its count is its version: versions may arrive in any
    order and any number of times. Tiles of two days stay.
    """
    start, count = tile[:2]
    if start in tiles and count < tiles[start][1]:
        return tiles
    oldest = (max([start, *tiles]) // DAY_S - 1) * DAY_S
    return {s: known for s, known in tiles.items() if s >= oldest} | {start: tile}


class TileStore:
    """The tiles of each user, in memory, of one generation."""

    generation = 0

    def __init__(self) -> None:
        self._tiles: dict[str, dict[int, Tile]] = {}

    def update(self, user: str, tile: Tile) -> None:
        """Store a tile of a user."""
        self._tiles[user] = merge(self._tiles.get(user, {}), tile)

    def forget(self, user: str, before_s: int) -> None:
        """Delete a user whose tiles all began before."""
        if max(self._tiles[user]) < before_s:
            del self._tiles[user]

    def clear(self) -> None:
        """Delete all tiles; the users stay, without payments."""
        self._tiles = {user: {0: NO_PAYMENTS} for user in self._tiles}

    def users(self) -> list[str]:
        """Return every user that has tiles."""
        return list(self._tiles)

    def frame(self, users: list[str]) -> pl.DataFrame:
        """Return the tiles of `users`, one user after the other, in the order of time."""
        rows = [
            (user, *tile) for user in users for _, tile in sorted(self._tiles.get(user, {}).items())
        ]
        return pl.DataFrame(rows, schema=TILE, orient="row")


class FeastSink:
    """Feast's online store: one hash a user, so a reader never sees half of an update."""

    def __init__(self) -> None:
        self._store, self._last = open_store(), datetime.min.replace(tzinfo=UTC)

    def write(self, rows: pl.DataFrame, now_ms: int) -> None:
        """Write rows as of `now_ms`.

        Feast skips a row that is not newer than the stored one: microseconds number the writes of
        one moment.
        """
        now = datetime.fromtimestamp(now_ms / 1_000, UTC)
        self._last = now = max(now, self._last + timedelta(microseconds=1))
        frame = rows.select("user_id", *FEATURES).to_pandas()
        frame = frame.assign(event_timestamp=now, created_timestamp=now)
        self._store.write_to_online_store(VIEW, frame)


def clock_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Writer:
    """Keep Redis equal to the tiles as of the progress time, and publish that time.

    No window moves past it. So a count of zero is a payment that was not made, and never one that
    was not yet read. A reader finds the values unknown when the published time is too old.
    """

    def __init__(
        self, store: TileStore, write: Write, progress_ms: Callable[[], int] | None = None
    ) -> None:
        self._store, self._write = store, write
        self._progress_ms = progress_ms or Progress(clock_ms)
        self._redis = redis.Redis(settings.host, settings.redis_port)
        self._now_ms = self._published_ms = 0
        self._next_look = 0.0
        self.pending: set[str] = set()
        self._changes: list[tuple[int, str]] = []  # a heap: when a value of a user changes next

    def run(self, topic: TopicReader, is_running: Callable[[], bool]) -> None:
        """Follow the topic while `is_running()`. Raises UserError without Redis."""
        try:
            while is_running():
                self.follow(topic)
        except redis.RedisError as error:
            problem = f"Redis at {settings.redis_address}: {error}"
            raise UserError(problem, "lab up redis") from error

    def follow(self, topic: TopicReader) -> None:
        """Read new tiles, write what changes, publish the progress time when all is written."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self.advance(topic)
        self.update(topic.poll())
        self.flush()
        if self._published_ms < self._now_ms and not self.pending:
            self.publish()

    def advance(self, topic: TopicReader) -> None:
        """Move on to the progress time: its tiles are in the topic by now."""
        try:
            reached_ms = self._progress_ms()
            self.update(topic.to_the_end())
        except kafka.KafkaException as error:
            print(f"Kafka at {settings.kafka_address}, retrying: {error}", flush=True)
            return
        self._now_ms = max(self._now_ms, reached_ms)
        while self._changes and self._changes[0][0] <= self._now_ms:
            self.pending.add(heapq.heappop(self._changes)[1])

    def update(self, records: Iterable[kafka.Message]) -> None:
        """Store tiles and mark their users as pending."""
        for record in records:
            try:
                fields = TileRecord.model_validate_json(record.value() or b"").model_dump()
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                print(f"Skipped offset {record.offset()} of {TILES}: {reason}", flush=True)
                continue
            user, generation = fields.pop("user_id"), fields.pop("generation")
            if generation > self._store.generation:
                self._start_generation(generation)
            is_current = generation == self._store.generation
            tile = tuple(fields.values()) if is_current else NO_PAYMENTS
            self._store.update(user, tile)
            self.pending.add(user)
            heapq.heappush(self._changes, (tile[0] * 1_000, user))  # it may not have begun yet

    def _start_generation(self, generation: int) -> None:
        """Replace all tiles: a job without a checkpoint counts the log from its beginning.

        Until it has read the log the counts are too small, and nothing is written.
        """
        self._store.generation, self._now_ms = generation, 0
        self._store.clear()
        self.pending.update(self._store.users())

    def flush(self) -> None:
        """Write up to 1,000 users whose values have changed."""
        users = list(islice(self.pending, BATCH))
        if not users or not self._now_ms:
            return
        rows = features(self._store.frame(users), self._now_ms)
        self._write(rows, self._now_ms)
        self.pending.difference_update(users)
        for user, moment in rows.select("user_id", "next_change").iter_rows():
            if moment is None:
                self._store.forget(user, self._now_ms // 1_000 - DAY_S)
            else:
                heapq.heappush(self._changes, (moment, user))

    def publish(self) -> None:
        """Publish the progress time; rewrite a Redis that has lost the earlier one."""
        is_known = self._redis.set(PROGRESS_KEY, self._now_ms, xx=self._published_ms > 0)
        if is_known:
            self._published_ms = self._now_ms
        else:
            self._published_ms = 0
            self.pending.update(self._store.users())
