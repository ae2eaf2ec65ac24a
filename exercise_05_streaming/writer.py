"""Write features to Redis when a tile arrives and when a window moves on.

The writer reads the topic `user_tiles` from its beginning, so a restart needs no state of its own.
"""

import heapq
import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import confluent_kafka as kafka
import polars as pl
import redis

from exercise_05_streaming.topics import TILES
from exercise_05_streaming.windows import DAY_S, FEATURES, INTEGERS, TILE, features
from lab.learn import UserError, open_store, settings

VIEW = "user_streaming_features"
BATCH, POLL_S = 1_000, 0.05


class TopicReader:
    """All partitions of a topic, from the oldest record on; it commits no offset."""

    def __init__(self, topic: str) -> None:
        options = {"bootstrap.servers": settings.kafka_address, "group.id": "reader"}
        options |= {"enable.auto.commit": "false", "enable.partition.eof": "true"}
        options |= {"auto.offset.reset": "earliest", "fetch.wait.max.ms": "50"}
        self._consumer, oldest = kafka.Consumer(options), kafka.OFFSET_BEGINNING
        self._unread = set(self._consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        self._consumer.assign([kafka.TopicPartition(topic, n, oldest) for n in self._unread])

    def to_the_end(self) -> Iterator[kafka.Message]:
        """Yield records until each partition has ended once."""
        while self._unread:
            yield from self.poll()

    def poll(self) -> Iterator[kafka.Message]:
        """Yield new records, or none after 50 ms."""
        for message in self._consumer.consume(BATCH, POLL_S):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == kafka.KafkaError._PARTITION_EOF:
                self._unread.discard(message.partition())
            else:
                raise kafka.KafkaException(error)


Tile = tuple[int, ...]  # the values of windows.INTEGERS
Write = Callable[[pl.DataFrame, int], object]  # rows of windows.features, and their time in ms


def merge(tiles: dict[int, Tile], tile: Tile) -> dict[int, Tile]:
    """Return a user's tiles with one more, or with another version of one.

    A tile only grows, so its count is its version: versions may arrive in any order and any number
    of times, and a job that reads the log again changes nothing. Tiles of two days stay.
    """
    start, count = tile[:2]
    if start in tiles and count < tiles[start][1]:
        return tiles
    oldest = (max([start, *tiles]) // DAY_S - 1) * DAY_S
    return {s: known for s, known in tiles.items() if s >= oldest} | {start: tile}


class TileStore:
    """The tiles of each user, in memory."""

    def __init__(self) -> None:
        self._tiles: dict[str, dict[int, Tile]] = {}

    def update(self, user: str, tile: Tile) -> None:
        """Store a tile of a user."""
        self._tiles[user] = merge(self._tiles.get(user, {}), tile)

    def users(self) -> list[str]:
        """Return every user that has tiles."""
        return list(self._tiles)

    def frame(self, users: list[str]) -> pl.DataFrame:
        """Return the tiles of `users`, one user after the other, in the order of time."""
        rows = [(user, *tile) for user in users for _, tile in sorted(self._tiles[user].items())]
        return pl.DataFrame(rows, schema=TILE, orient="row")


class FeastSink:
    """Feast's online store: one hash a user, so a reader never sees half of an update."""

    def __init__(self) -> None:
        self._store = open_store()

    def write(self, rows: pl.DataFrame, now_ms: int) -> None:
        """Write by Feast, which skips a row that describes an older moment than the stored one."""
        now = datetime.fromtimestamp(now_ms / 1_000, UTC)
        frame = rows.select("user_id", *FEATURES).to_pandas()
        frame = frame.assign(event_timestamp=now, created_timestamp=now)
        try:
            self._store.write_to_online_store(VIEW, frame)
        except redis.RedisError as error:
            problem = f"Redis at {settings.redis_address}: {error}"
            raise UserError(problem, "lab up redis") from error


def clock_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Writer:
    """Keep Redis equal to the tiles at the time `progress_ms`.

    That time is the clock, so every user becomes quiet while the job stands still. The time up to
    which the job has read the log can take its place.
    """

    def __init__(
        self, store: TileStore, write: Write, progress_ms: Callable[[], int] = clock_ms
    ) -> None:
        self._store, self._write, self._progress_ms = store, write, progress_ms
        self._pending: set[str] = set()
        self._changes: list[tuple[int, str]] = []  # a heap: when a value of a user changes next

    def run(self, topic: TopicReader, is_running: Callable[[], bool]) -> None:
        """Read the topic to its end, then write what changes, while `is_running()`."""
        self.update(topic.to_the_end())
        while is_running():
            self.update(topic.poll())
            self.flush()

    def update(self, records: Iterable[kafka.Message]) -> None:
        """Store tiles and mark their users as pending."""
        for record in records:
            try:
                fields = json.loads(record.value() or b"")
                user, tile = str(fields["user_id"]), tuple(int(fields[name]) for name in INTEGERS)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                print(f"Skipped offset {record.offset()} of {TILES}: {error!r}", flush=True)
                continue
            self._store.update(user, tile)
            self._pending.add(user)
            heapq.heappush(self._changes, (tile[0] * 1_000, user))  # it may not have begun yet

    def flush(self) -> None:
        """Write up to 1,000 users whose values have changed."""
        now_ms = self._progress_ms()
        while self._changes and self._changes[0][0] <= now_ms:
            self._pending.add(heapq.heappop(self._changes)[1])
        if users := list(islice(self._pending, BATCH)):
            rows = features(self._store.frame(users), now_ms)
            self._write(rows, now_ms)
            self._pending.difference_update(users)
            for user, moment in rows.select("user_id", "next_change").drop_nulls().iter_rows():
                heapq.heappush(self._changes, (moment, user))
