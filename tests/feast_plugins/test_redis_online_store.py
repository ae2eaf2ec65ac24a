"""The online store plug-in on a real Redis: Feast's bytes, and the newest row whatever happens."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import redis
from feast import Entity, FeatureView, Field, FileSource, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32, Int64, String
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feast_plugins.columnar_encoding import encode_times
from feast_plugins.feast_internals import entity_key_bytes, redis_client
from feast_plugins.redis_encoding import (
    decode_time,
    decode_value,
    entity_key,
    feature_field,
    time_field,
)
from feast_plugins.redis_online_store import FIELDS_PER_SCRIPT, Row, VersionedRedisOnlineStore
from feast_plugins.redis_writer import RowWriter
from lab.stack.redis import RedisServer
from tests.feast_plugins.asof_repo import feature_view

LAB_STORE = "feast_plugins.redis_online_store.VersionedRedisOnlineStore"
EPOCH = datetime(2026, 6, 1, tzinfo=UTC)
EPOCH_S = timedelta(seconds=EPOCH.timestamp())
MICROSECOND = timedelta(microseconds=1)
USER = Entity(name="user_id", join_keys=["user_id"])


def view_named(name: str) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[USER],
        schema=[
            Field(name="user_id", dtype=String),
            Field(name="count", dtype=Int64),
            Field(name="mean", dtype=Float32),
            Field(name="last", dtype=String),
        ],
        source=FileSource(path="unused.parquet", timestamp_field="event_timestamp"),
    )


Config = Callable[..., RepoConfig]
Write = Callable[..., None]

VIEW, OTHER_VIEW = view_named("stats"), view_named("preferences")
ROWS_AT_ONCE = FIELDS_PER_SCRIPT // 4


def row(user: str, at: timedelta, count: int | None, created: timedelta | None = None) -> Row:
    """Return a row whose features all follow from `count`; None: all are null."""
    values = {"count": Value(), "mean": Value(), "last": Value()}
    if count is not None:
        numbers = {"int64_val": count}, {"float_val": count / 3}, {"string_val": f"product_{count}"}
        values = dict(zip(values, (Value(**number) for number in numbers), strict=True))
    key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user)])
    return key, values, EPOCH + at, None if created is None else EPOCH + created


@pytest.fixture
def config(client: redis.Redis, server: RedisServer, tmp_path: Path) -> Config:
    def make(db: int = 0, kind: str = LAB_STORE, ttl: int | None = None) -> RepoConfig:
        address = f"{server.config.host}:{server.port},db={db}"
        online = {"type": kind, "connection_string": address, "key_ttl_seconds": ttl}
        return RepoConfig(
            project="shop",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            online_store=online,
            entity_key_serialization_version=3,
        )

    return make


def write(config: RepoConfig, *rows: Row, view: FeatureView = VIEW) -> None:
    VersionedRedisOnlineStore().online_write_batch(config, view, list(rows), None)


def write_async(config: RepoConfig, *rows: Row) -> None:
    store = VersionedRedisOnlineStore()
    asyncio.run(store.online_write_batch_async(config, VIEW, list(rows), None))


def write_columns(config: RepoConfig, *rows: Row) -> None:
    """Write rows of one view as the columnar engine does."""
    names = [feature.name for feature in VIEW.features]
    client = redis_client(VersionedRedisOnlineStore(), config)
    with RowWriter(client, VIEW.name, names, ttl_seconds=0) as writer:
        keys = [entity_key_bytes(key, config) for key, _, _, _ in rows]
        event_times, created = (
            pa.array([times[place] for times in rows], pa.timestamp("us", "UTC"), from_pandas=True)
            for place in (2, 3)
        )
        features = [[values[name].SerializeToString() for _, values, *_ in rows] for name in names]
        writer.write(keys, encode_times(event_times, created), features)
        writer.finish()


def stored(client: redis.Redis, user: str, view: str = "stats") -> tuple[Any, ...]:
    """Return the event time and the three features of a user."""
    fields = [time_field(view), *(feature_field(view, name) for name in ("count", "mean", "last"))]
    time, *values = client.hmget(entity_key("shop", "user_id", user), fields)
    return decode_time(time), *(decode_value(value) for value in values)


def dump(client: redis.Redis) -> dict[bytes, dict[bytes, bytes]]:
    return {key: client.hgetall(key) for key in client.scan_iter()}


def some_rows(count: int) -> list[Row]:
    """Return rows of a third as many users, out of order, without ties, some of them null."""
    random = Random(5)
    times = random.sample(range(10**9), count)
    return [
        row(f"user_{random.randrange(count // 3)}", at * MICROSECOND, random.choice([None, at]))
        for at in times
    ]


# ---- The bytes are Feast's ----------------------------------------------------------------------


def test_a_row_of_more_features_than_lua_returns_at_once(
    client: redis.Redis, config: Config
) -> None:
    names = [f"value_{number}" for number in range(5_000)]
    key, *_ = row("user_1", MICROSECOND, 1)
    values = {name: Value(int64_val=number) for number, name in enumerate(names)}
    wide = feature_view("wide", VIEW.batch_source, features=dict.fromkeys(names, Int64))
    write(config(), (key, values, EPOCH, None), view=wide)
    fields = client.hgetall(entity_key("shop", "user_id", "user_1"))
    assert len(fields) == 5_001
    assert decode_value(fields[feature_field("wide", "value_4999")]) == 4999


def test_same_bytes_as_feasts_own_store(
    config: Config, server: RedisServer, client: redis.Redis
) -> None:
    rows = some_rows(3 * ROWS_AT_ONCE)
    for view in (VIEW, OTHER_VIEW):
        write(config(), *rows, view=view)
        RedisOnlineStore().online_write_batch(config(1, "redis"), view, rows, None)
    with redis.Redis(server.config.host, server.port, db=1) as feasts:
        assert dump(client) == dump(feasts)
    assert client.dbsize() > ROWS_AT_ONCE / 2


def test_progress_counts_every_row(config: Config) -> None:
    counted: list[int] = []
    rows = some_rows(ROWS_AT_ONCE + 1)
    VersionedRedisOnlineStore().online_write_batch(config(), VIEW, rows, counted.append)
    assert sum(counted) == len(rows)


# ---- The newest row stays -----------------------------------------------------------------------

MOMENTS = st.sampled_from(
    [timedelta(days=-1)]
    + [
        timedelta(seconds=second, microseconds=part)
        for second in (0, 1, 127, 128)
        for part in (0, 1, 999_999)
    ]
)
CREATED = [pd.NaT, -EPOCH_S - MICROSECOND, *(timedelta(minutes=number) for number in range(3))]
WRITES = st.tuples(st.sampled_from(["user_1", "user_2"]), MOMENTS, st.integers(0, 4))
BATCHES = st.lists(
    st.tuples(st.sampled_from([write, write_async, write_columns]), st.lists(WRITES, max_size=6)),
    max_size=6,
)


@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=BATCHES)
def test_as_a_dictionary_would_hold_it(
    batches: list[tuple[Write, list[tuple[str, timedelta, int]]]],
    config: Config,
    client: redis.Redis,
) -> None:
    """The newest event time wins; of equal ones the newest created, of equal ones the last."""
    client.flushall()
    expected: dict[str, tuple[timedelta, int, int]] = {}
    number = 0
    for write_batch, batch in batches:
        rows = []
        for user, at, created in batch:
            number += 1
            rows.append(row(user, at, number, CREATED[created]))
            version = (at, created, number)
            expected[user] = max(expected.get(user, version), version)
        write_batch(config(), *rows)
    for user in ("user_1", "user_2"):
        time, count, _, last = stored(client, user)
        newest = expected.get(user)
        assert (time, count) == ((EPOCH + newest[0], newest[2]) if newest else (None, None))
        assert last == (f"product_{count}" if newest else None)


def test_a_row_without_a_created_time_is_written_and_overwritten(
    config: Config, client: redis.Redis
) -> None:
    """Feast's own store, like an earlier release, writes the event time only."""
    created = [timedelta(minutes=number) for number in range(3)]
    write(config(), row("user_1", timedelta(), 1, created[2]))
    for at, count in ((timedelta(), 1), (MICROSECOND, 2)):  # it skips equal times
        feasts, repo = RedisOnlineStore(), config(kind="redis")
        feasts.online_write_batch(repo, VIEW, [row("user_1", at, 2)], None)
        ((time, values),) = feasts.online_read(repo, VIEW, [row("user_1", at, 0)[0]])
        assert (time, values["count"].int64_val) == (EPOCH + at, count)
    for count, when in ((3, created[0]), (4, None)):
        write(config(), row("user_1", MICROSECOND, count, when))
        assert stored(client, "user_1")[1] == count


@pytest.mark.parametrize("nanoseconds", [1, 999])
def test_a_nanosecond_newer_is_newer(nanoseconds: int, config: Config, client: redis.Redis) -> None:
    """Other writers may know the nanosecond; Python's datetime does not."""
    write(config(), row("user_1", timedelta(), 1))
    newer = Timestamp(seconds=int(EPOCH.timestamp()), nanos=nanoseconds).SerializeToString()
    client.hset(entity_key("shop", "user_id", "user_1"), time_field("stats"), newer)
    write(config(), row("user_1", timedelta(), 2))
    assert stored(client, "user_1")[1] == 1
    write(config(), row("user_1", MICROSECOND, 3))
    assert stored(client, "user_1")[1] == 3


def test_a_null_replaces_a_value(config: Config, client: redis.Redis) -> None:
    write(config(), row("user_1", timedelta(), 1))
    write(config(), row("user_1", MICROSECOND, None))
    assert stored(client, "user_1") == (EPOCH + MICROSECOND, None, None, None)


def test_racing_writers_never_leave_an_older_row(config: Config, client: redis.Redis) -> None:
    """Four writers, each with one version of the same users, set off together; thirty times."""
    writers = 4
    groups = [[f"user_{group}_{number}" for number in range(20)] for group in range(30)]
    start = threading.Barrier(writers, timeout=30)

    def write_version(version: int) -> None:
        store, repo = VersionedRedisOnlineStore(), config()
        for group in groups:
            rows = [row(user, version * MICROSECOND, version) for user in group]
            start.wait()
            store.online_write_batch(repo, VIEW, rows, None)

    threads = [threading.Thread(target=write_version, args=[version]) for version in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = {stored(client, user)[1] for group in groups for user in group}
    assert left == {writers - 1}


# ---- A key's TTL --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "left"), [(1_000, 100, 1_000), (100, 1_000, 1_000), (1_000, None, 1_000)]
)
def test_a_ttl_is_lengthened_never_shortened(
    first: int, second: int | None, left: int, config: Config, client: redis.Redis
) -> None:
    write(config(ttl=first), row("user_1", timedelta(), 1))
    write(config(ttl=second), row("user_1", MICROSECOND, 2), view=OTHER_VIEW)
    assert left - 10 < client.ttl(entity_key("shop", "user_id", "user_1")) <= left


def test_a_key_without_a_ttl_keeps_none(config: Config, client: redis.Redis) -> None:
    write(config(), row("user_1", timedelta(), 1))
    write(config(ttl=100), row("user_1", MICROSECOND, 2))
    assert client.ttl(entity_key("shop", "user_id", "user_1")) == -1


@pytest.mark.usefixtures("full_redis")
def test_a_full_redis_refuses_aloud(config: Config) -> None:
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        write(config(), *some_rows(3_000))
