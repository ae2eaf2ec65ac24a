"""Write features to Redis when a tile arrives and when a window advances.

The writer reads the topic `user_tiles` from its beginning, so a restart needs no state of its own.
"""

import heapq
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from struct import Struct
from typing import Annotated, Any

import confluent_kafka as kafka
import numpy as np
import polars as pl
import redis
from pydantic import Field, ValidationError, create_model, model_validator

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY, STREAMING_VIEW
from exercise_05_streaming.progress import clock_ms
from exercise_05_streaming.topics import TILES, TopicReader, available_services
from exercise_05_streaming.windows import DAY_S, FEATURES, INTEGERS, TILE, TILE_S, features
from lab.learn import UserError, open_store, settings

VIEW = STREAMING_VIEW
BATCH, MAX_SKEW_MS = 1_000, 60_000  # a job of a clock that is further ahead supersedes nobody

Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Name = Annotated[str, Field(min_length=1, strict=True)]
FIELDS: dict[str, Any] = {"user_id": Name, "generation": Count, **dict.fromkeys(INTEGERS, Count)}


def is_possible(tile: Any) -> Any:
    """Return a tile that a job can have written. Raises ValueError: it would count twice."""
    start_ms, end_ms = tile.tile_start * 1_000, (tile.tile_start + TILE_S) * 1_000
    is_inside = start_ms <= tile.first_event <= tile.last_event < end_ms
    if tile.tile_start % TILE_S or not is_inside or tile.declined_count > tile.transaction_count:
        raise ValueError("its times or counts contradict each other")
    return tile


RULES: Any = {"possible": model_validator(mode="after")(is_possible)}
# Any other record of the topic is malformed.
TileRecord: Any = create_model("TileRecord", __validators__=RULES, **FIELDS)
Tile = tuple[int, ...]  # the values of windows.INTEGERS
RECORD = Struct(f"{len(INTEGERS)}q")  # of a tile
Write = Callable[[pl.DataFrame, int], object]  # rows of windows.features, and their time in ms
Clock = Callable[[], int]
NO_PAYMENTS: Tile = (0,) * len(INTEGERS)  # in no window, but its user is known


class TileStore:
    """The tiles of each user, of two days: 56 bytes each, so a million users fit into memory."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}

    def update(self, user: str, tile: Tile) -> None:
        """Store a tile of a user, or another version of one.

        A tile only grows, so its count is its version: versions may arrive in any order and any
        number of times.
        """
        tiles, (start, count, *_) = self._tiles(user), tile
        if start in tiles and count < tiles[start][1]:
            return
        tiles[start] = tile
        newest = min(max(tiles), clock_ms() // 1_000)  # one of the future removes no other
        oldest = (newest // DAY_S - 1) * DAY_S
        recent = (tiles[start] for start in sorted(tiles) if start >= oldest)
        self._packed[user] = b"".join(RECORD.pack(*tile) for tile in recent)

    def forget(self, user: str, before_s: int) -> None:
        """Delete a user whose tiles all began before."""
        if max(self._tiles(user)) < before_s:
            del self._packed[user]

    def users(self) -> list[str]:
        """Return every user that has tiles."""
        return list(self._packed)

    def frame(self, users: list[str]) -> pl.DataFrame:
        """Return the tiles of `users`, one user after the other, in the order of time."""
        packed = [self._packed.get(user, b"") for user in users]
        rows = np.frombuffer(b"".join(packed), np.int64).reshape(-1, len(INTEGERS))
        names = np.repeat(np.array(users, object), [len(each) // RECORD.size for each in packed])
        columns = dict(zip(INTEGERS, rows.T, strict=True))
        return pl.DataFrame({"user_id": names.tolist(), **columns}, schema=TILE)

    def _tiles(self, user: str) -> dict[int, Tile]:
        """Return a user's tiles by their start."""
        return {row[0]: row for row in RECORD.iter_unpack(self._packed.get(user, b""))}


class FeastSink:
    """Feast's online store: one hash a user, so a reader never sees half of an update.

    The TTL is the view's, a day, by the event time of the row; Redis deletes the key after
    `key_ttl_seconds`. Both are in the Feast repository.
    """

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


class Superseded(UserError):
    """A later job counts the log. The offsets and the tiles of both would be mixed."""


class Writer:
    """Keep Redis equal to the tiles as of the progress time, and publish that time.

    No window moves past it. So a count of zero is a payment that was not made, and never one that
    was not yet read. A reader finds the values unknown when the published time is too old.
    """

    def __init__(self, generation: int, store: TileStore, write: Write, progress: Clock) -> None:
        """`generation` is that of the job's tiles, and `progress` returns a time in ms."""
        self.generation, self._store, self._write = generation, store, write
        self._progress, self._is_published = progress, False
        self._redis = redis.Redis(settings.host, settings.redis_port)
        self._changes: list[tuple[int, str]] = []  # a heap: when a value of a user changes
        self._pending: set[str] = set()

    @available_services()
    def run(self, topic: TopicReader, is_running: Callable[[], bool]) -> None:
        """Follow the topic while `is_running()`. Raises UserError without Redis."""
        while is_running():
            self.follow(topic)

    def follow(self, topic: TopicReader) -> None:
        """Read new tiles, write all that changes by the progress time, and publish that time."""
        try:
            now_ms = self._progress()  # first: the tiles of this time are in the topic by now
            self.update(topic.to_the_end())
        except kafka.KafkaException as error:
            print(f"Kafka at {settings.kafka_address}, retrying: {error}", flush=True)
            return
        if now_ms:  # else the job still reads the log, and its counts are too small
            self.write_changes(now_ms)
            self.publish(now_ms)

    def update(self, records: Iterable[kafka.Message]) -> None:
        """Store tiles, whose users change when the tile begins, or at once."""
        for record in records:
            try:
                fields = TileRecord.model_validate_json(record.value() or b"").model_dump()
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                print(f"Skipped offset {record.offset()} of {TILES}: {reason}", flush=True)
                continue
            user, generation = fields.pop("user_id"), fields.pop("generation")
            if self.generation < generation <= clock_ms() + MAX_SKEW_MS:
                raise Superseded(
                    "another job has begun to count the log", "stop it, and start again"
                )
            tile = tuple(fields.values()) if generation == self.generation else NO_PAYMENTS
            self._store.update(user, tile)
            heapq.heappush(self._changes, (tile[0] * 1_000, user))

    def write_changes(self, now_ms: int) -> None:
        """Write the users whose values have changed."""
        while self._changes and self._changes[0][0] <= now_ms:
            self._pending.add(heapq.heappop(self._changes)[1])
        while users := list(islice(self._pending, BATCH)):
            rows = features(self._store.frame(users), now_ms)
            self._write(rows, now_ms)
            self._pending.difference_update(users)
            for user, moment in rows.select("user_id", "next_change").iter_rows():
                if moment is None:
                    self._store.forget(user, now_ms // 1_000)
                else:
                    heapq.heappush(self._changes, (moment, user))

    def publish(self, now_ms: int) -> None:
        """Publish the progress time; write every user again when Redis has lost it."""
        self._is_published = bool(self._redis.set(PROGRESS_KEY, now_ms, xx=self._is_published))
        if not self._is_published:
            self._pending.update(self._store.users())
