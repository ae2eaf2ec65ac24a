"""The writer's rows in Redis: the values, in whatever order they come, and nothing older."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
import redis
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from exercise_05_streaming.production.redis_sink import RedisSink
from exercise_05_streaming.windows import features
from exercise_05_streaming.writer import TileStore
from lab.stack.redis import private_redis
from tests.exercise_05.online_by_hand import event_time, key_of, stored
from tests.exercise_05.tiles_by_hand import (
    DAY,
    MINUTE,
    NOON,
    TILE_MS,
    Event,
    events_near,
    stored_tiles,
    tile_of,
    update,
    values_at,
    versions,
)
from tests.settings_in_force import settings_in_force

USERS = ["user_0", "user_1", "user_2"]
thorough = hypothesis_settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    with (
        private_redis(tmp_path_factory.mktemp("redis")) as server,
        settings_in_force(redis_port=server.port),
    ):
        yield server.client()


@pytest.fixture
def client(server: redis.Redis) -> redis.Redis:
    server.flushall()
    return server


def write(store: TileStore, now: int, generation: int = 1) -> int:
    """Write every user of a store; return how many rows were newer."""
    rows = features(store.frame(store.users()), now)
    return RedisSink(generation, store).write(rows, now)


def knowing(*events: Event) -> TileStore:
    return stored_tiles(versions(events))


def payment(minute: int = 0, cents: int = 100) -> Event:
    return Event("user_0", NOON + minute * MINUTE, cents, declined=False)


@thorough
@given(events=events_near(NOON), later=st.integers(0, 2 * DAY), data=st.data())
def test_two_writers_one_of_them_killed_end_at_the_definition(
    server: redis.Redis, events: list[Event], later: int, data: st.DataObject
) -> None:
    """One stops anywhere; the other replays from the beginning, in batches, at its own times."""
    server.flushall()
    tiles = versions(events)
    cut = data.draw(st.integers(0, len(tiles)))
    for until in (cut, len(tiles)):
        known = TileStore()
        ends = sorted({0, *data.draw(st.lists(st.integers(0, until), max_size=2)), until})
        for start, end in pairwise(ends):
            update(known, tiles[start:end])
            write(known, NOON + later)
    assert stored(USERS) == values_at(events, NOON + later)


def test_a_replay_moves_nothing_back(client: redis.Redis) -> None:
    events = [payment(minute) for minute in (-50, -6, -3, -1)]
    write(knowing(*events), NOON)
    before = stored(USERS)
    for known_events in range(1, len(events)):
        assert write(knowing(*events[:known_events]), NOON + MINUTE) == 0
    assert stored(USERS) == before


def test_a_slow_writer_does_not_bring_an_earlier_moment_back(client: redis.Redis) -> None:
    known = knowing(payment())
    write(known, NOON + TILE_MS)
    assert write(known, NOON + TILE_MS - 1) == 0
    assert stored(USERS)["user_0"]["transaction_count_5m"] == 0


def test_a_row_is_written_whole(client: redis.Redis) -> None:
    """One command a user, with all families, as of the moment that the values describe."""
    with client.monitor() as monitor:
        write(knowing(payment()), NOON)
        client.ping()
        commands = []
        while (command := monitor.next_command()["command"]) != "PING":
            commands += [command] if command.startswith("HSET") else []
    assert len(commands) == 1
    assert event_time(client, "user_0") == NOON


def test_other_views_keep_their_fields_and_their_time(client: redis.Redis) -> None:
    """The key belongs to all views of the user: its TTL may be lengthened, never shortened."""
    key, long, short = key_of("user_0"), timedelta(days=500), timedelta(days=1)
    client.hset(key, b"_ts:other", b"kept")
    client.expire(key, long)
    write(knowing(payment()), NOON)
    assert client.ttl(key) > timedelta(days=499).total_seconds()
    client.expire(key, short)
    write(knowing(payment(), payment(1)), NOON + MINUTE)
    assert client.ttl(key) > timedelta(days=90).total_seconds()
    assert client.hget(key, b"_ts:other") == b"kept"
    client.flushall()
    write(knowing(payment()), NOON)
    assert client.ttl(key) > timedelta(days=90).total_seconds()


def test_a_newer_generation_replaces_and_an_older_one_does_not(client: redis.Redis) -> None:
    """Its tiles start at a count of one, and yet are newer than all of the older one's."""
    write(knowing(*map(payment, range(5))), NOON + 5 * MINUTE)
    assert write(knowing(payment()), NOON + MINUTE, generation=2) == 1
    assert write(knowing(*map(payment, range(9))), NOON + 9 * MINUTE) == 0
    assert stored(USERS)["user_0"]["transaction_count_1h"] == 1


def test_a_future_event_alone_writes_nothing(client: redis.Redis) -> None:
    known = stored_tiles([tile_of([payment(7)])])
    assert write(known, NOON) == 0
    assert stored(USERS) == {}
    assert write(known, NOON + 7 * MINUTE) == 1
