"""The cache: lifetimes, the fill race, and warming; in the solution and production."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient

from exercise_04_serving.app.cache import TTL_S, FeatureCache
from exercise_04_serving.production.local_cache import LocalCache
from feast_plugins.redis_encoding import entity_key, feature_field, time_field
from lab import dataset
from lab.settings import utc_now
from lab.stack.redis import RedisServer
from tests.exercise_04.serving_shop import (
    BOTH,
    STREAMING_VIEW,
    cache_database,
    payments,
    predict,
    running_api,
    users_payments,
)
from tests.shop import Shop
from tests.waiting import eventually

PROJECT = "ml_platform_features"
RUNS = f"materialization_runs:{PROJECT}"
KEY = ("user_id", "u")
USER_VIEW, FEATURE = "user_transaction_features", "transaction_count_7d"


def hits_and_misses(api: TestClient) -> tuple[int, int]:
    stats = api.get("/stats").json()
    return stats["cache_hits"], stats["cache_misses"]


def set_feature(client: redis.Redis, user: str, view: str, feature: str, value: Any) -> None:
    """Write value and event time together, as a materialization does."""
    from feast.protos.feast.types.Value_pb2 import Value
    from google.protobuf.timestamp_pb2 import Timestamp

    now = Timestamp(seconds=int(utc_now().timestamp())).SerializeToString()
    content = Value(**value).SerializeToString()
    mapping = {feature_field(view, feature): content, time_field(view): now}
    client.hset(entity_key(PROJECT, "user_id", user), mapping=mapping)


# ---- Through the API -------------------------------------------------------------------------


def test_the_second_request_is_a_hit_whatever_its_amount(api: TestClient) -> None:
    payment = payments(1)[0]
    hits, misses = hits_and_misses(api)
    first = predict(api, payment)
    assert hits_and_misses(api) == (hits, misses + 2)  # the user and the merchant
    second = predict(api, payment | {"transaction_amount": payment["transaction_amount"] * 3})
    assert hits_and_misses(api) == (hits + 2, misses + 2)
    ratio = "amount_vs_avg_ratio"
    assert second["features"][ratio] == pytest.approx(3 * first["features"][ratio])


def test_with_a_warm_cache_only_streaming_features_are_read(
    api: TestClient, shop_redis: RedisServer
) -> None:
    payment = payments(1)[0]
    predict(api, payment)
    client = shop_redis.client()
    with client.monitor() as monitor:
        predict(api, payment)
        client.ping()
        reads = []
        while (command := monitor.next_command()["command"]) != "PING":
            reads += [command] if command.startswith("HMGET") else []
    assert len(reads) == 1


def test_a_streaming_feature_is_never_cached(api: TestClient, shop_redis: RedisServer) -> None:
    payment = users_payments(40)[39]  # a user of its own: others have no recent payments
    client, feature = shop_redis.client(), "transaction_count_5m"
    for count in (3, 5, 8):
        set_feature(client, payment["user_id"], STREAMING_VIEW, feature, {"int64_val": count})
        assert predict(api, payment)["features"][feature] == count


def test_entries_end_and_are_in_the_caches_database(api: TestClient) -> None:
    predict(api, payments(1)[0])
    keys = cache_database().keys("features:*")
    assert len(keys) == 2
    assert all(0 < cache_database().ttl(key) <= TTL_S for key in keys)


@pytest.mark.parametrize("run", ["counter", "backfill", "again"])
def test_a_materialization_is_seen(api: TestClient, shop_redis: RedisServer, run: str) -> None:
    """A corrected value arrives by a backfill, or by a run that ends at the same as-of."""
    from exercise_03_materialize.materialize import backfill_features, initial_materialization

    client, payment = shop_redis.client(), payments(1)[0]
    before = predict(api, payment)["features"][FEATURE]
    set_feature(client, payment["user_id"], USER_VIEW, FEATURE, {"int64_val": 12_345})
    assert predict(api, payment)["features"][FEATURE] == before  # cached
    if run == "counter":
        client.incr(RUNS)
    elif run == "backfill":
        backfill_features(dataset.as_of() - timedelta(hours=2), dataset.as_of())
    else:
        initial_materialization(days_back=1)
    eventually(lambda: predict(api, payment)["features"][FEATURE] == 12_345)
    set_feature(client, payment["user_id"], USER_VIEW, FEATURE, {"int64_val": int(before)})
    client.incr(RUNS)


@pytest.mark.parametrize("floor", BOTH)
def test_it_starts_with_the_users_and_merchants_of_most_payments(shop: Shop, floor: str) -> None:
    cache_database().flushdb()
    with running_api(floor == "production") as api:
        hits, misses = hits_and_misses(api)
        predict(api, payments(1)[0])
        assert hits_and_misses(api) == (hits + 2, misses)


# ---- The cache itself, over a real Redis -----------------------------------------------------


@pytest.fixture
def client(shop: Shop, shop_redis: RedisServer) -> redis.Redis:
    cache_database().flushdb()
    return shop_redis.client()


@pytest.mark.parametrize("kind", [FeatureCache, LocalCache])
def test_the_fill_race(client: redis.Redis, kind: type[FeatureCache]) -> None:
    """Read old; a materialization ends; fill with the old: it must not stay."""

    async def old_read_is_stored_late() -> None:
        cache = open_cache(kind)
        version = await cache.version()
        client.incr(RUNS)
        await cache.set_many(version, {KEY: {"a": 1.0}})
        assert await cache.get_many(await cache.version(), [KEY]) == {}
        assert await cache.get_many(version, [KEY]) == {KEY: {"a": 1.0}}

    asyncio.run(old_read_is_stored_late())


def open_cache(kind: type[FeatureCache]) -> FeatureCache:
    return LocalCache(PROJECT, 10, 0) if kind is LocalCache else FeatureCache(PROJECT)


def test_a_local_hit_takes_no_round_trip_and_the_version_is_read_again(
    client: redis.Redis,
) -> None:
    async def scenario() -> None:
        cache = LocalCache(PROJECT, 10, 3_600)
        version = await cache.version()
        await cache.set_many(version, {KEY: {"a": 1.0}})
        cache_database().flushdb()
        client.incr(RUNS)
        assert await cache.version() == version  # for an hour
        assert await cache.get_many(version, [KEY, ("user_id", "v")]) == {KEY: {"a": 1.0}}
        assert await LocalCache(PROJECT, 10, 3_600).version() != version

    asyncio.run(scenario())


def test_another_service_finds_no_entry_of_the_earlier_one(client: redis.Redis) -> None:
    """A feature was renamed and the model trained again, within the TTL of the cache."""

    async def found(features: list[str]) -> object:
        cache = FeatureCache(PROJECT, features)
        version = await cache.version()
        if features == ["old"]:
            await cache.set_many(version, {KEY: {"old": 1.0}})
        return await cache.get_many(version, [KEY])

    assert asyncio.run(found(["old"])) == {KEY: {"old": 1.0}}
    assert asyncio.run(found(["new"])) == {}
