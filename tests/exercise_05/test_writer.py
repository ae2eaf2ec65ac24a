"""The writer between a real Kafka and a real Redis; where time must pass, it is the test's."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.production.job import prepare_services
from exercise_05_streaming.production.writer import ResilientWriter
from exercise_05_streaming.progress import Progress, clock_ms
from exercise_05_streaming.topics import PARTITIONS, TILES, TopicReader, create_topics
from exercise_05_streaming.writer import BATCH, FeastSink, TileStore, Writer
from lab.errors import UserError
from lab.settings import utc_now
from lab.stack.kafka import private_kafka
from lab.stack.redis import RedisServer, private_redis
from tests.exercise_05.online_by_hand import stored
from tests.exercise_05.pipeline import Pipeline
from tests.exercise_05.strangers import hostile_records
from tests.exercise_05.tiles_by_hand import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    TILE_MS,
    Event,
    Tile,
    tile_of,
    values_at,
    versions,
)
from tests.settings_in_force import PointSettings
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka
USERS = ["user_0", "user_1"]


class Clock:
    """The progress time of a job."""

    now = NOON

    def __call__(self) -> int:
        return self.now


class FollowingWriter:
    """A writer in this process, of the job of a generation."""

    def __init__(
        self, clock: Callable[[], int], floor: str = "production", generation: int = 1
    ) -> None:
        self.writer = (
            ResilientWriter(generation, clock)
            if floor == "production"
            else Writer(generation, TileStore(), FeastSink().write, clock)
        )
        self.topic = TopicReader(TILES)

    def follow(self) -> None:
        self.writer.follow(self.topic)

    def users(self) -> list[str]:
        """Return the users in memory, in the order of their names."""
        return sorted(self.writer._store.users())


@pytest.fixture(params=["solution", "production"])
def floor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pipeline(
    new_pipeline: Callable[[], Pipeline], point_settings: PointSettings, registry: Path
) -> Pipeline:
    made = new_pipeline()
    point_settings(
        data_dir=registry,
        kafka_port=made.broker.port,
        redis_port=made.redis.port,
    )
    made.redis.client().flushall()
    return made


def writer_at(clock: Clock) -> FollowingWriter:
    """Return a writer that has written what is in the topic."""
    writer = FollowingWriter(clock)
    writer.follow()
    return writer


def send(pipeline: Pipeline, tiles: Iterable[Tile], generation: int = 1) -> None:
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
    for tile in tiles:
        key = {name: tile[name] for name in ("user_id", "tile_start")}
        value = json.dumps(tile | {"generation": generation})
        producer.produce(TILES, value, json.dumps(key))
    assert producer.flush(PATIENCE_S) == 0


def payments(*minutes: int, user: str = "user_0") -> list[Event]:
    return [Event(user, NOON + minute * MINUTE, 1_999, declined=False) for minute in minutes]


def follow_until(writer: FollowingWriter, condition: Callable[[], bool]) -> None:
    def followed() -> bool:
        writer.follow()
        return condition()

    eventually(followed)


def test_counts_go_back_to_zero_on_a_silent_topic(pipeline: Pipeline) -> None:
    client, events, clock = pipeline.redis.client(), payments(-1, 0), Clock()
    send(pipeline, versions(events))
    writer = writer_at(clock)
    for later in (TILE_MS, 30 * MINUTE, HOUR - TILE_MS, HOUR, DAY - HOUR, DAY):
        clock.now = NOON + later
        writer.follow()
        assert stored(client, USERS) == values_at(events, clock.now)
    assert not any(stored(client, USERS)["user_0"].values())


def test_an_emptied_redis_is_filled_again(pipeline: Pipeline, floor: str) -> None:
    """The progress time is back after the rows, never before."""
    client, events, clock = pipeline.redis.client(), payments(-20, -1), Clock()
    send(pipeline, versions(events))
    writer = FollowingWriter(clock, floor)
    follow_until(writer, lambda: bool(client.exists(PROGRESS_KEY)))
    client.flushall()
    clock.now += 1
    follow_until(writer, lambda: bool(client.exists(PROGRESS_KEY)))
    assert stored(client, USERS) == values_at(events, NOON)


# ---- True or unknown -------------------------------------------------------------------------


def test_no_window_moves_past_the_progress_time(pipeline: Pipeline, floor: str) -> None:
    """A job that stands still after 12:04 leaves a payment of 12:06 unread, not uncounted."""
    client, clock = pipeline.redis.client(), Clock()
    clock.now = NOON + 4 * MINUTE
    events = payments(1, 3)
    send(pipeline, versions(events))
    writer = FollowingWriter(clock, floor)
    writer.follow()
    send(pipeline, versions(payments(6)))
    writer.follow()
    assert stored(client, USERS) == values_at(events, clock.now)
    clock.now = NOON + 7 * MINUTE
    writer.follow()
    assert stored(client, USERS) == values_at([*events, *payments(6)], clock.now)


def test_the_progress_time_is_published_when_all_is_written(
    pipeline: Pipeline, floor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pipeline.redis.client()
    users = [f"user_{number}" for number in range(BATCH + 1)]
    send(pipeline, versions(payments(-1, user=user)[0] for user in users))
    writer, published = FollowingWriter(Clock(), floor), []
    write = writer.writer._write

    def recorded_write(rows: pl.DataFrame, now_ms: int) -> None:
        write(rows, now_ms)
        published.append(client.exists(PROGRESS_KEY))

    monkeypatch.setattr(writer.writer, "_write", recorded_write)
    writer.follow()
    assert published == [0, 0]
    assert len(stored(client, users)) == BATCH + 1
    assert int(client.get(PROGRESS_KEY) or 0) == NOON


def test_without_a_progress_time_nothing_is_written(pipeline: Pipeline, floor: str) -> None:
    """The counts of a job that reads the log again are too small until it has read it."""
    client, clock = pipeline.redis.client(), Clock()
    send(pipeline, versions(payments(-3, -2, -1)))
    FollowingWriter(clock, floor).follow()
    before, clock.now = stored(client, USERS), 0
    send(pipeline, versions(payments(-3)), generation=2)
    again = FollowingWriter(clock, floor, generation=2)
    again.follow()
    assert stored(client, USERS) == before
    send(pipeline, versions(payments(-3, -2)), generation=2)  # two: a corrected log
    clock.now = NOON + 1
    again.follow()
    assert stored(client, USERS) == values_at(payments(-3, -2), clock.now)


def test_who_has_no_payment_in_a_new_generation_is_quiet(pipeline: Pipeline, floor: str) -> None:
    client, clock = pipeline.redis.client(), Clock()
    send(pipeline, versions(payments(-1)))
    FollowingWriter(clock, floor).follow()
    clock.now += 1
    send(pipeline, versions(payments(-1, user="user_1")), generation=2)
    FollowingWriter(clock, floor, generation=2).follow()
    assert not any(stored(client, USERS)["user_0"].values())
    assert stored(client, ["user_1"]) == values_at(payments(-1, user="user_1"), clock.now)


def test_a_partition_that_is_added_to_the_topic_of_tiles_is_read(
    pipeline: Pipeline, floor: str
) -> None:
    client, clock, writer = pipeline.redis.client(), Clock(), FollowingWriter(Clock(), floor)
    writer.follow()
    options = {"bootstrap.servers": pipeline.broker.bootstrap}
    admin, producer = AdminClient({**options}), Producer({**options})
    admin.create_partitions([NewPartitions(TILES, PARTITIONS + 1)])[TILES].result(PATIENCE_S)
    tile = tile_of(payments(-1)) | {"generation": 1}
    producer.produce(TILES, json.dumps(tile), b"key", partition=PARTITIONS)
    assert producer.flush(PATIENCE_S) == 0
    follow_until(writer, lambda: bool(stored(client, USERS)))
    assert stored(client, USERS) == values_at(payments(-1), clock.now)


def test_the_clock_of_production_is_that_of_redis(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine three days ahead would write what no other writer could undo."""
    now = time.time()
    monkeypatch.setattr("time.time_ns", lambda: int((now + 3 * 86_400) * 1e9))
    writer, client = ResilientWriter(1), pipeline.redis.client()
    topic = TopicReader(TILES)

    def is_published() -> bool:
        writer.follow(topic)
        return bool(client.exists(PROGRESS_KEY))

    eventually(is_published)
    assert int(client.get(PROGRESS_KEY) or 0) < (now + 86_400) * 1_000
    assert prepare_services() < (now + 86_400) * 1_000, "the generation of the next job"


def test_the_writer_of_an_earlier_job_ends(pipeline: Pipeline, floor: str) -> None:
    """By its job's offsets the tiles of the later job would be complete."""
    client, writer = pipeline.redis.client(), FollowingWriter(Clock(), floor)
    send(pipeline, versions(payments(-1)), generation=2)
    with pytest.raises(UserError, match="another job"):
        writer.follow()
    assert not client.exists(PROGRESS_KEY)


def test_a_tile_of_a_clock_ahead_ends_no_writer_and_removes_no_tile(
    pipeline: Pipeline, floor: str
) -> None:
    """It would stop every later job for the three days that the topic keeps it."""
    clock = Clock()
    clock.now = clock_ms()
    paid, ahead = Event("user_0", clock.now - MINUTE, 100, declined=False), clock.now + 3 * DAY
    send(pipeline, versions(payments(-1, user="user_1")), generation=ahead)
    send(pipeline, versions([paid, replace(paid, time=ahead)]))
    FollowingWriter(clock, floor).follow()
    assert stored(pipeline.redis.client(), ["user_0"]) == values_at([paid], clock.now)


def test_users_are_forgotten_after_the_longest_window(pipeline: Pipeline, floor: str) -> None:
    """Also by a writer that writes each change when it comes."""
    clock = Clock()
    send(pipeline, versions([*payments(-1), *payments(25 * 60, user="user_1")]))
    writer = FollowingWriter(clock, floor)
    for later in (0, TILE_MS, 30 * MINUTE, HOUR):
        clock.now = NOON + later
        writer.follow()
        assert writer.users() == USERS  # one of them has yet to begin
    clock.now = NOON + DAY - HOUR
    writer.follow()
    assert writer.users() == ["user_1"]


GOOD = tile_of(payments(-1)) | {"generation": 1}
BAD_TILES = {
    "no JSON": b"hello",
    "no value": None,
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "another object": b'{"other": 1}',
    "text for a count": json.dumps(GOOD | {"transaction_count": "1"}).encode(),
    "a fraction": json.dumps(GOOD | {"total_cents": 1.5}).encode(),
    "beyond 64 bits": json.dumps(GOOD | {"max_cents": 10**30}).encode(),
    "negative": json.dumps(GOOD | {"tile_start": -300}).encode(),
    "in milliseconds": json.dumps(GOOD | {"tile_start": GOOD["tile_start"] * 1_000}).encode(),
    "between two tiles": json.dumps(GOOD | {"tile_start": GOOD["tile_start"] + 1}).encode(),
    "of another time": json.dumps(GOOD | {"last_event": NOON + TILE_MS}).encode(),
    "more declined than made": json.dumps(GOOD | {"declined_count": 2}).encode(),
    "null user": json.dumps(GOOD | {"user_id": None}).encode(),
    "empty user": json.dumps(GOOD | {"user_id": ""}).encode(),
}


def test_no_bad_tile_stops_the_writer(
    pipeline: Pipeline, floor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client, events = pipeline.redis.client(), []
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
    hostile = [record for record, _ in hostile_records(28, utc_now(), "production")]
    bad_tiles = [*BAD_TILES.values(), *hostile]
    for number, bad in enumerate(bad_tiles):
        events += payments(-1, user=f"user_{number}")
        good = json.dumps(tile_of(events[-1:]) | {"generation": 1})
        producer.produce(TILES, good, f"good {number}")
        producer.produce(TILES, bad, b"any key")
    assert producer.flush(PATIENCE_S) == 0
    FollowingWriter(Clock(), floor).follow()
    users = [event.user for event in events]
    assert stored(client, users) == values_at(events, NOON)
    assert capsys.readouterr().out.count("Skipped") == len(bad_tiles)
    assert not client.keys("*None*")


def test_tiles_that_arrive_while_redis_is_unavailable_are_not_lost(
    pipeline: Pipeline, own_redis: RedisServer
) -> None:
    """It comes back without a part of what it had, as after a loss of power."""
    events, clock = payments(-20, -1), Clock()
    send(pipeline, versions(events))
    writer = writer_at(clock)
    writer.follow()
    own_redis.stop()
    clock.now += 1
    events += payments(-2, user="user_1")
    send(pipeline, versions(events))
    follow_until(writer, lambda: len(writer.users()) == 2)
    for file in own_redis.directory.rglob("*.incr.aof"):
        os.truncate(file, file.stat().st_size // 2)
    own_redis.start()
    follow_until(writer, lambda: len(stored(own_redis.client(), USERS)) == 2)
    follow_until(writer, lambda: own_redis.client().get(PROGRESS_KEY) == b"%d" % clock.now)
    assert stored(own_redis.client(), USERS) == values_at(events, NOON)


def test_while_kafka_is_unavailable_the_progress_time_stands_still(
    pipeline: Pipeline,
    tmp_path: Path,
    point_settings: PointSettings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A reader then treats the values as unknown; the writer continues when Kafka is back."""
    client = pipeline.redis.client()
    with private_kafka(tmp_path) as kafka:
        point_settings(kafka_port=kafka.port)
        create_topics()
        writer = FollowingWriter(Progress(0, clock_ms), "solution")
        follow_until(writer, lambda: bool(client.exists(PROGRESS_KEY)))
        kafka.stop()
        before = client.get(PROGRESS_KEY)
        follow_until(writer, lambda: "Kafka at" in capsys.readouterr().out)
        assert client.get(PROGRESS_KEY) == before
        kafka.start()
        follow_until(writer, lambda: client.get(PROGRESS_KEY) != before)


@pytest.fixture
def own_redis(
    pipeline: Pipeline, tmp_path: Path, point_settings: PointSettings
) -> Iterator[RedisServer]:
    """Run a Redis that a test may stop."""
    with private_redis(tmp_path) as server:
        point_settings(redis_port=server.port)
        yield server


def test_a_redis_that_stays_unavailable_ends_it(
    pipeline: Pipeline, own_redis: RedisServer, point_settings: PointSettings
) -> None:
    send(pipeline, versions(payments(-1)))
    point_settings(writer_timeout_s=0.5)
    clock = Clock()
    writer = writer_at(clock)
    own_redis.stop()
    clock.now += TILE_MS
    with pytest.raises(UserError, match=r"Redis at .* 0\.5 s.*\n.*lab up redis"):
        follow_until(writer, lambda: False)
