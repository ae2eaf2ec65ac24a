"""The writer between a real Kafka and a real Redis; where time must pass, it is the test's."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.production.preflight import prepare_services
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


class FollowingWriter:
    """A writer in this process; the job's generation and progress time are the test's."""

    def __init__(self, floor: str = "production", generation: int = 1) -> None:
        self.now = NOON
        self.writer = (
            ResilientWriter(generation, lambda: self.now)
            if floor == "production"
            else Writer(generation, TileStore(), FeastSink().write, lambda: self.now)
        )
        self.topic = TopicReader(TILES)

    def follow(self, now: int = NOON) -> None:
        """Read the topic and write what changes by the progress time `now`."""
        self.now = now
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


def send(pipeline: Pipeline, tiles: Iterable[Tile], generation: int = 1) -> None:
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
    for tile in tiles:
        key = {name: tile[name] for name in ("user_id", "tile_start")}
        value = json.dumps(tile | {"generation": generation})
        producer.produce(TILES, value, json.dumps(key))
    assert producer.flush(PATIENCE_S) == 0


def payments(*minutes: int, user: str = "user_0") -> list[Event]:
    return [Event(user, NOON + minute * MINUTE, 1_999, declined=False) for minute in minutes]


def follow_until(follow: Callable[[], None], condition: Callable[[], bool]) -> None:
    def followed() -> bool:
        follow()
        return condition()

    eventually(followed)


def test_counts_go_back_to_zero_on_a_silent_topic(pipeline: Pipeline) -> None:
    events, writer = payments(-1, 0), FollowingWriter()
    send(pipeline, versions(events))
    for later in (0, TILE_MS, 30 * MINUTE, HOUR - TILE_MS, HOUR, DAY - HOUR, DAY):
        writer.follow(NOON + later)
        assert stored(USERS) == values_at(events, NOON + later)
    assert not any(stored(USERS)["user_0"].values())


def test_an_emptied_redis_is_filled_again(pipeline: Pipeline, floor: str) -> None:
    """The progress time is back after the rows, never before."""
    client, events = pipeline.redis.client(), payments(-20, -1)
    send(pipeline, versions(events))
    writer = FollowingWriter(floor)
    follow_until(writer.follow, lambda: bool(client.exists(PROGRESS_KEY)))
    client.flushall()
    follow_until(lambda: writer.follow(NOON + 1), lambda: bool(client.exists(PROGRESS_KEY)))
    assert stored(USERS) == values_at(events, NOON)


# ---- True or unknown -------------------------------------------------------------------------


def test_no_window_moves_past_the_progress_time(pipeline: Pipeline, floor: str) -> None:
    """A job that stands still after 12:04 leaves a payment of 12:06 unread, not uncounted."""
    events, writer = payments(1, 3), FollowingWriter(floor)
    send(pipeline, versions(events))
    writer.follow(NOON + 4 * MINUTE)
    send(pipeline, versions(payments(6)))
    writer.follow(NOON + 4 * MINUTE)
    assert stored(USERS) == values_at(events, NOON + 4 * MINUTE)
    writer.follow(NOON + 7 * MINUTE)
    assert stored(USERS) == values_at([*events, *payments(6)], NOON + 7 * MINUTE)


def test_the_progress_time_is_published_when_all_is_written(
    pipeline: Pipeline, floor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pipeline.redis.client()
    users = [f"user_{number}" for number in range(BATCH + 1)]
    send(pipeline, versions(payments(-1, user=user)[0] for user in users))
    writer, published = FollowingWriter(floor), []
    write = writer.writer._write

    def recorded_write(rows: pl.DataFrame, now_ms: int) -> None:
        write(rows, now_ms)
        published.append(client.exists(PROGRESS_KEY))

    monkeypatch.setattr(writer.writer, "_write", recorded_write)
    writer.follow()
    assert published == [0, 0]
    assert len(stored(users)) == BATCH + 1
    assert int(client.get(PROGRESS_KEY) or 0) == NOON


def test_without_a_progress_time_nothing_is_written(pipeline: Pipeline, floor: str) -> None:
    """The counts of a job that reads the log again are too small until it has read it."""
    send(pipeline, versions(payments(-3, -2, -1)))
    FollowingWriter(floor).follow()
    before = stored(USERS)
    send(pipeline, versions(payments(-3)), generation=2)
    again = FollowingWriter(floor, generation=2)
    again.follow(0)
    assert stored(USERS) == before
    send(pipeline, versions(payments(-3, -2)), generation=2)  # two: a corrected log
    again.follow(NOON + 1)
    assert stored(USERS) == values_at(payments(-3, -2), NOON + 1)


def test_who_has_no_payment_in_a_new_generation_is_quiet(pipeline: Pipeline, floor: str) -> None:
    send(pipeline, versions(payments(-1)))
    FollowingWriter(floor).follow()
    send(pipeline, versions(payments(-1, user="user_1")), generation=2)
    FollowingWriter(floor, generation=2).follow(NOON + 1)
    assert not any(stored(USERS)["user_0"].values())
    assert stored(["user_1"]) == values_at(payments(-1, user="user_1"), NOON + 1)


def test_a_partition_that_is_added_to_the_topic_of_tiles_is_read(
    pipeline: Pipeline, floor: str
) -> None:
    writer = FollowingWriter(floor)
    writer.follow()
    options = {"bootstrap.servers": pipeline.broker.bootstrap}
    admin, producer = AdminClient({**options}), Producer({**options})
    admin.create_partitions([NewPartitions(TILES, PARTITIONS + 1)])[TILES].result(PATIENCE_S)
    tile = tile_of(payments(-1)) | {"generation": 1}
    producer.produce(TILES, json.dumps(tile), b"key", partition=PARTITIONS)
    assert producer.flush(PATIENCE_S) == 0
    follow_until(writer.follow, lambda: bool(stored(USERS)))
    assert stored(USERS) == values_at(payments(-1), NOON)


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
    client, writer = pipeline.redis.client(), FollowingWriter(floor)
    send(pipeline, versions(payments(-1)), generation=2)
    with pytest.raises(UserError, match="another job"):
        writer.follow()
    assert not client.exists(PROGRESS_KEY)


def test_a_tile_of_a_clock_ahead_ends_no_writer_and_removes_no_tile(
    pipeline: Pipeline, floor: str
) -> None:
    """It would stop every later job for the three days that the topic keeps it."""
    now = clock_ms()
    paid, ahead = Event("user_0", now - MINUTE, 100, declined=False), now + 3 * DAY
    send(pipeline, versions(payments(-1, user="user_1")), generation=ahead)
    send(pipeline, versions([paid, replace(paid, time=ahead)]))
    FollowingWriter(floor).follow(now)
    assert stored(["user_0"]) == values_at([paid], now)


def test_users_are_forgotten_after_the_longest_window(pipeline: Pipeline, floor: str) -> None:
    """Also by a writer that writes each change when it comes."""
    send(pipeline, versions([*payments(-1), *payments(25 * 60, user="user_1")]))
    writer = FollowingWriter(floor)
    for later in (0, TILE_MS, 30 * MINUTE, HOUR):
        writer.follow(NOON + later)
        assert writer.users() == USERS  # one of them has yet to begin
    writer.follow(NOON + DAY - HOUR)
    assert writer.users() == ["user_1"]


GOOD = tile_of(payments(-1)) | {"generation": 1}
BAD_FIELDS: list[dict[str, Any]] = [
    *(
        {"transaction_count": "1"},
        {"total_cents": 1.5},
        {"max_cents": 10**30},
        {"tile_start": -300},
    ),
    *({"user_id": None}, {"user_id": ""}),
]


def test_no_bad_tile_stops_the_writer(
    pipeline: Pipeline, floor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client, events = pipeline.redis.client(), []
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
    hostile = [record for record, _ in hostile_records(28, utc_now(), "production")]
    bad_tiles = [*(json.dumps(GOOD | fields).encode() for fields in BAD_FIELDS), *hostile]
    for number, bad in enumerate(bad_tiles):
        events += payments(-1, user=f"user_{number}")
        good = json.dumps(tile_of(events[-1:]) | {"generation": 1})
        producer.produce(TILES, good, f"good {number}")
        producer.produce(TILES, bad, b"any key")
    assert producer.flush(PATIENCE_S) == 0
    FollowingWriter(floor).follow()
    users = [event.user for event in events]
    assert stored(users) == values_at(events, NOON)
    assert capsys.readouterr().out.count("Skipped") == len(bad_tiles)
    assert not client.keys("*None*")


def test_tiles_that_arrive_while_redis_is_unavailable_are_not_lost(
    pipeline: Pipeline, own_redis: RedisServer
) -> None:
    """It comes back without a part of what it had, as after a loss of power."""
    events, writer = payments(-20, -1), FollowingWriter()
    send(pipeline, versions(events))
    writer.follow()
    writer.follow()
    own_redis.stop()
    events += payments(-2, user="user_1")
    send(pipeline, versions(events))
    follow_later = partial(writer.follow, NOON + 1)
    follow_until(follow_later, lambda: len(writer.users()) == 2)
    for file in own_redis.directory.rglob("*.incr.aof"):
        os.truncate(file, file.stat().st_size // 2)
    own_redis.start()
    follow_until(follow_later, lambda: len(stored(USERS)) == 2)
    follow_until(follow_later, lambda: own_redis.client().get(PROGRESS_KEY) == b"%d" % (NOON + 1))
    assert stored(USERS) == values_at(events, NOON)


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
        writer = Writer(0, TileStore(), FeastSink().write, Progress(0, clock_ms))
        follow = partial(writer.follow, TopicReader(TILES))
        follow_until(follow, lambda: bool(client.exists(PROGRESS_KEY)))
        kafka.stop()
        before = client.get(PROGRESS_KEY)
        follow_until(follow, lambda: "Kafka at" in capsys.readouterr().out)
        assert client.get(PROGRESS_KEY) == before
        kafka.start()
        follow_until(follow, lambda: client.get(PROGRESS_KEY) != before)


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
    writer = FollowingWriter()
    writer.follow()
    own_redis.stop()
    with pytest.raises(UserError, match=r"Redis at .* 0\.5 s.*\n.*lab up redis"):
        follow_until(partial(writer.follow, NOON + TILE_MS), lambda: False)
