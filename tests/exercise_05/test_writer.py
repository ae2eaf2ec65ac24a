"""The writer between a real Kafka and a real Redis; where time must pass, it is the test's."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from exercise_05_streaming.production.redis_sink import RedisSink
from exercise_05_streaming.production.tile_store import PackedTiles
from exercise_05_streaming.production.writer import ResilientWriter, rebuild
from exercise_05_streaming.topics import TILES
from exercise_05_streaming.writer import TopicReader
from lab.errors import UserError
from lab.settings import utc_now
from lab.stack.redis import RedisServer, private_redis
from tests.exercise_05.online_by_hand import stored
from tests.exercise_05.pipeline import Pipeline
from tests.exercise_05.tiles_by_hand import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    TILE_MS,
    Event,
    Tile,
    values_at,
    versions,
)
from tests.settings_in_force import PointSettings
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka
USERS = ["user_0", "user_1"]


class Clock:
    now = NOON

    def __call__(self) -> int:
        return self.now


class FollowingWriter:
    """A writer in this process that has read the topic to its end, and its parts."""

    def __init__(self, clock: Clock) -> None:
        self.store = PackedTiles()
        self._writer = ResilientWriter(self.store, RedisSink(self.store), clock)
        self._topic = TopicReader(TILES)
        self._writer.update(self._topic.to_the_end())

    def follow(self) -> None:
        self._writer.update(self._topic.poll())
        self._writer.flush()

    def write_all(self) -> None:
        self._writer.flush_all()


@pytest.fixture
def pipeline(new_pipeline: Callable[[], Pipeline], point_settings: PointSettings) -> Pipeline:
    made = new_pipeline()
    point_settings(
        kafka_port=made.broker.port,
        redis_port=made.redis.port,
        redis_check_s=0,
    )
    made.redis.client().flushall()
    return made


def writer_at(clock: Clock) -> FollowingWriter:
    """Return a writer that has written what is in the topic."""
    writer = FollowingWriter(clock)
    writer.write_all()
    return writer


def send(pipeline: Pipeline, tiles: Iterable[Tile]) -> None:
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
    for tile in tiles:
        key = {name: tile[name] for name in ("user_id", "tile_start")}
        producer.produce(TILES, json.dumps(tile), json.dumps(key))
    assert producer.flush(PATIENCE_S) == 0


def payments(*minutes: int, user: str = "user_0") -> list[Event]:
    return [Event(user, NOON + minute * MINUTE, 1_999, declined=False) for minute in minutes]


def follow_until(writer: FollowingWriter, condition: Callable[[], bool]) -> None:
    def followed() -> bool:
        writer.follow()
        return condition()

    eventually(followed)


def test_it_writes_what_was_there_and_what_comes(pipeline: Pipeline) -> None:
    client, events = pipeline.redis.client(), payments(-90, -20, -1)
    send(pipeline, versions(events))
    writer = writer_at(Clock())
    assert stored(client, USERS) == values_at(events, NOON)
    events += payments(-2, user="user_1")
    send(pipeline, versions(events))
    follow_until(writer, lambda: len(stored(client, USERS)) == 2)
    assert stored(client, USERS) == values_at(events, NOON)


def test_counts_go_back_to_zero_on_a_silent_topic(pipeline: Pipeline) -> None:
    client, events, clock = pipeline.redis.client(), payments(-1, 0), Clock()
    send(pipeline, versions(events))
    writer = writer_at(clock)
    for later in (TILE_MS, 30 * MINUTE, HOUR - TILE_MS, HOUR, DAY - HOUR, DAY):
        clock.now = NOON + later
        writer.follow()
        assert stored(client, USERS) == values_at(events, clock.now)
    assert not any(stored(client, USERS)["user_0"].values())


def test_an_emptied_redis_is_filled_again(pipeline: Pipeline) -> None:
    client, events = pipeline.redis.client(), payments(-20, -1)
    send(pipeline, versions(events))
    writer = writer_at(Clock())
    client.flushall()
    writer.follow()
    assert stored(client, USERS) == values_at(events, NOON)


def test_what_came_while_redis_was_away_is_not_lost(
    pipeline: Pipeline, own_redis: RedisServer
) -> None:
    """It comes back without a part of what it had, as after a loss of power."""
    events = payments(-20, -1)
    send(pipeline, versions(events))
    writer = writer_at(Clock())
    own_redis.stop()
    events += payments(-2, user="user_1")
    send(pipeline, versions(events))
    follow_until(writer, lambda: len(writer.store.users()) == 2)
    for file in own_redis.directory.rglob("*.incr.aof"):
        os.truncate(file, file.stat().st_size // 2)
    own_redis.start()
    follow_until(writer, lambda: len(stored(own_redis.client(), USERS)) == 2)
    assert stored(own_redis.client(), USERS) == values_at(events, NOON)


@pytest.fixture
def own_redis(
    pipeline: Pipeline, tmp_path: Path, point_settings: PointSettings
) -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    with private_redis(tmp_path) as server:
        point_settings(redis_port=server.port)
        yield server


def test_a_redis_that_stays_away_ends_it(
    pipeline: Pipeline, own_redis: RedisServer, point_settings: PointSettings
) -> None:
    send(pipeline, versions(payments(-1)))
    point_settings(writer_timeout_s=0.5)
    writer = writer_at(Clock())
    own_redis.stop()
    with pytest.raises(UserError, match=r"Redis at .* 0\.5 s.*\n.*lab up redis"):
        follow_until(writer, lambda: False)


def test_a_rebuild_beside_a_writer_repairs_and_takes_nothing_back(
    pipeline: Pipeline,
) -> None:
    """It knows what the topic says now; the writer has gone on when the rebuild writes."""
    client, now = pipeline.redis.client(), int(utc_now().timestamp() * 1_000)
    events = [Event("user_0", now - 40 * MINUTE, 1_999, declined=False)]
    send(pipeline, versions(events))
    client.flushall()
    rebuild()
    before = stored(client, USERS)
    assert before["user_0"]["transaction_count_1h"] == 1
    newer = Clock()
    newer.now = now + MINUTE
    slow_clock = Clock()
    slow_clock.now = now
    slow = FollowingWriter(slow_clock)
    send(pipeline, versions([*events, Event("user_0", now, 100, declined=True)]))
    writer_at(newer)
    ahead = stored(client, USERS)
    slow.write_all()
    assert ahead["user_0"]["transaction_count_1h"] == 2
    assert stored(client, USERS) == ahead
