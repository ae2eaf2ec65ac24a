"""The caches: what they may keep and for how long, the fill race, one read for many, warming."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from exercise_04_serving.production.app.cache import LocalCache, ReplyCache
from exercise_04_serving.production.app.database import CACHE, FEATURES, Database
from exercise_04_serving.production.app.generation import Generation
from exercise_04_serving.production.app.shared_cache import Kept, SharedCache
from feast_plugins.read_plan import Reply
from feast_plugins.redis_encoding import entity_key, feature_field, time_field
from lab import dataset
from lab.settings import settings, utc_now
from lab.stack.redis import RedisServer
from tests.exercise_04.serving_shop import (
    SECONDS,
    STREAMING_VIEW,
    Body,
    cache_database,
    payments,
    running_api,
    users_payments,
)
from tests.redis_proxy import redis_proxy
from tests.shop import Shop
from tests.waiting import eventually

PROJECT = "ml_platform_features"
PROGRESS = f"materialized_until:{PROJECT}"


def predict(api: TestClient, payment: Body) -> Body:
    answer = api.post("/predict", json=payment)
    assert answer.status_code == 200, answer.text
    body: Body = answer.json()
    return body


def hits_and_misses(api: TestClient) -> tuple[int, int]:
    stats = api.get("/stats").json()
    return stats["cache_hits"], stats["cache_misses"]


def set_feature(client: redis.Redis, user: str, view: str, feature: str, value: Any) -> None:
    """As a materialization does: value and event time together."""
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
    second = predict(api, payment | {"transaction_amount": payment["transaction_amount"] * 3})
    assert hits_and_misses(api) == (hits + 1, misses + 1)
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
    assert time_field(STREAMING_VIEW).decode() in reads[0]


def test_a_streaming_feature_is_never_cached(api: TestClient, shop_redis: RedisServer) -> None:
    payment = users_payments(40)[39]  # a user of its own: others are quiet
    for count in (3, 5, 8):
        set_feature(
            shop_redis.client(),
            payment["user_id"],
            STREAMING_VIEW,
            "transaction_count_5m",
            {"int64_val": count},
        )
        assert predict(api, payment)["features"]["transaction_count_5m"] == count


def test_entries_end_and_are_in_the_caches_database(api: TestClient) -> None:
    predict(api, payments(1)[0])
    cache = cache_database()
    eventually(lambda: cache.keys("features:*"))
    for key in cache.keys("features:*"):
        assert 0 < cache.ttl(key) <= settings.cache_ttl_s


def test_another_worker_finds_what_the_first_has_cached(api: TestClient) -> None:
    payment = payments(1)[0]
    predict(api, payment)
    eventually(lambda: len(cache_database().keys("features:*")) == 2)
    with running_api() as other:
        hits, misses = hits_and_misses(other)
        predict(other, payment)
        assert hits_and_misses(other) == (hits + 1, misses)


def test_a_materialization_is_seen(shop: Shop, shop_redis: RedisServer) -> None:
    client, payment = shop_redis.client(), payments(1)[0]
    view, feature = "user_transaction_features", "transaction_count_7d"
    with running_api(cache_poll_s=0.05) as api:
        before = predict(api, payment)["features"][feature]
        set_feature(client, payment["user_id"], view, feature, {"int64_val": 12_345})
        assert predict(api, payment)["features"][feature] == before  # cached
        client.hset(PROGRESS, view, utc_now().isoformat())
        eventually(lambda: predict(api, payment)["features"][feature] == 12_345)
        set_feature(client, payment["user_id"], view, feature, {"int64_val": int(before)})


@pytest.mark.parametrize("run", ["backfill", "again"])
def test_a_run_that_changes_no_moment_is_seen_too(
    shop: Shop, shop_redis: RedisServer, run: str
) -> None:
    """A corrected value arrives by a backfill, or by a run that ends at the same as-of."""
    from exercise_03_materialize.materialize import backfill_features, initial_materialization

    client, payment = shop_redis.client(), payments(1)[0]
    view, feature = "user_transaction_features", "transaction_count_7d"
    with running_api(cache_poll_s=0.05) as api:
        before = predict(api, payment)["features"][feature]
        set_feature(client, payment["user_id"], view, feature, {"int64_val": 12_345})
        assert predict(api, payment)["features"][feature] == before  # cached
        seen = client.hgetall(PROGRESS)
        if run == "backfill":
            backfill_features(dataset.as_of() - timedelta(hours=2), dataset.as_of())
        else:
            initial_materialization(days_back=1)
        assert client.hgetall(PROGRESS) == seen
        eventually(lambda: predict(api, payment)["features"][feature] == 12_345)
        set_feature(client, payment["user_id"], view, feature, {"int64_val": int(before)})


def test_without_a_cache_nothing_is_kept(shop: Shop) -> None:
    cache_database().flushdb()
    with running_api(feature_cache="off") as api:
        for payment in payments(5):
            predict(api, payment)
        assert api.get("/health").json()["cache"] == "off"
    assert cache_database().keys("features:*") == []


def test_a_new_worker_starts_with_the_hot(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exercise_04_serving.production.app.hot_entities.SAMPLED", 1.0)
    cache = cache_database()
    cache.flushdb()
    hot, cold = users_payments(2)
    with running_api(cache_poll_s=0.05) as api:
        for payment in (hot, hot, cold):
            predict(api, payment)
        eventually(lambda: [count for _, count in hot_pairs(cache)] == [2, 1])
    for key in cache.keys("features:*"):
        cache.delete(key)
    with running_api(warm_entities=1) as api:
        hits, misses = hits_and_misses(api)
        predict(api, hot)
        assert hits_and_misses(api) == (hits + 1, misses)
        predict(api, cold)
        assert hits_and_misses(api)[1] == misses + 1


def hot_pairs(cache: redis.Redis) -> list[tuple[bytes, float]]:
    pairs: list[tuple[bytes, float]] = [
        pair for key in cache.keys("hot:*") for pair in cache.zrevrange(key, 0, -1, withscores=True)
    ]
    return pairs


def test_warming_ends_though_redis_does_not_answer(shop: Shop, shop_redis: RedisServer) -> None:
    with redis_proxy(shop_redis.port) as proxy:
        proxy.hold_replies()
        with running_api(redis_port=proxy.port, warm_timeout_s=0.2) as api:  # it gets ready
            assert api.get("/live").status_code == 200
            assert api.get("/ready").status_code == 503


# ---- The cache itself, over a real Redis -----------------------------------------------------

COMMANDS = [b"command %d" % number for number in range(5)]


class Store:
    """What is read from: counts reads, and waits where a test wants it to."""

    def __init__(self) -> None:
        self.content = b"old"
        self.reads: list[bytes] = []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.asked = asyncio.Event()

    async def read(self, commands: Sequence[bytes]) -> list[Reply]:
        self.reads += commands
        content = self.content
        self.asked.set()
        await self.let_go.wait()
        return [[command, content, None] for command in commands]


class Caches:
    """A store and its cache, as a worker has them."""

    def __init__(self, local: LocalCache, shared: SharedCache, generation: Generation) -> None:
        self.local, self.shared, self.generation, self.store = local, shared, generation, Store()
        self.cache = ReplyCache(local, shared, generation, self.store.read)

    async def values(self, *commands: bytes) -> list[bytes | None]:
        replies, _ = await self.cache.obtain(commands)
        assert [reply[0] for reply in replies] == list(commands)
        return [reply[1] for reply in replies]


@asynccontextmanager
async def opened(*, entries: int = 100, shared_entries: int = 100) -> AsyncIterator[Caches]:
    features, cache = Database(FEATURES, 5), Database(CACHE, 5)
    generation = Generation(features, PROJECT)
    await generation.poll()
    shared = SharedCache(cache, shared_entries, 300)
    yield Caches(LocalCache(entries, 300), shared, generation)
    features.close()
    cache.close()


@pytest.fixture
def client(shop: Shop, shop_redis: RedisServer) -> redis.Redis:
    cache_database().flushdb()
    return shop_redis.client()


async def materialized(client: redis.Redis, caches: Caches) -> None:
    """A materialization is over, and the worker has noticed."""
    client.hset(PROGRESS, "user_transaction_features", utc_now().isoformat())
    await caches.generation.poll()


async def filled(count: int) -> None:
    async with asyncio.timeout(30):
        while len(cache_database().keys("features:*")) < count:
            await asyncio.sleep(0.01)


def test_many_requests_for_one_cold_key_make_one_read(client: redis.Redis) -> None:
    async def at_once() -> None:
        async with opened() as caches:
            caches.store.let_go.clear()
            asked = [asyncio.create_task(caches.values(COMMANDS[0])) for _ in range(1_000)]
            await caches.store.asked.wait()
            caches.store.let_go.set()
            assert await asyncio.gather(*asked) == [[b"old"]] * 1_000
            assert caches.store.reads == [COMMANDS[0]]

    asyncio.run(at_once())


def test_who_joins_a_read_does_not_lose_it_with_its_first_task(client: redis.Redis) -> None:
    async def first_gives_up() -> None:
        async with opened() as caches:
            caches.store.let_go.clear()
            first = asyncio.create_task(caches.values(COMMANDS[0]))
            await caches.store.asked.wait()
            second = asyncio.create_task(caches.values(*COMMANDS[:2]))
            await asyncio.sleep(0)
            first.cancel()
            caches.store.let_go.set()
            assert await second == [b"old", b"old"]
            assert sorted(caches.store.reads) == COMMANDS[:2]

    asyncio.run(first_gives_up())


def test_a_failed_read_fails_those_who_wait_and_is_forgotten(client: redis.Redis) -> None:
    async def fails_once() -> None:
        async with opened() as caches:
            reads = caches.store.read

            async def failing(_: Sequence[bytes]) -> list[Reply]:
                raise ConnectionResetError

            caches.cache._read = failing
            asked = [caches.values(COMMANDS[0]) for _ in range(3)]
            failed = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(error) for error in failed] == [ConnectionResetError] * 3
            caches.cache._read = reads
            assert await caches.values(COMMANDS[0]) == [b"old"]

    asyncio.run(fails_once())


def test_the_fill_race(client: redis.Redis) -> None:
    """Read old; a materialization ends and is noticed; fill with the old: it must not stay."""

    async def old_read_lands_late() -> None:
        async with opened() as caches, opened() as other:
            caches.store.let_go.clear()
            late = asyncio.create_task(caches.values(COMMANDS[0]))
            await caches.store.asked.wait()
            caches.store.content = other.store.content = b"new"
            await materialized(client, caches)
            await other.generation.poll()
            caches.store.let_go.set()
            assert await late == [b"old"]
            assert await caches.values(COMMANDS[0]) == [b"new"]
            assert await other.values(COMMANDS[0]) == [b"new"]

    asyncio.run(old_read_lands_late())


def test_who_comes_after_a_materialization_does_not_join_a_read_from_before(
    client: redis.Redis,
) -> None:
    async def joins_too_late() -> None:
        async with asyncio.timeout(SECONDS), opened() as caches:
            caches.store.let_go.clear()
            early = asyncio.create_task(caches.values(COMMANDS[0]))
            await caches.store.asked.wait()
            caches.store.content = b"new"
            await materialized(client, caches)
            caches.store.asked.clear()
            late = asyncio.create_task(caches.values(COMMANDS[0]))
            await caches.store.asked.wait()
            caches.store.let_go.set()
            assert (await early, await late) == ([b"old"], [b"new"])
            assert await caches.values(COMMANDS[0]) == [b"new"]

    asyncio.run(joins_too_late())


def test_a_fill_that_no_worker_has_noticed_as_old_ends_with_the_next_look(
    client: redis.Redis,
) -> None:
    async def noticed_after_the_fill() -> None:
        async with opened() as caches, opened() as other:
            assert await caches.values(COMMANDS[0]) == [b"old"]
            await filled(1)
            caches.store.content = other.store.content = b"new"
            await materialized(client, caches)
            assert await caches.values(COMMANDS[0]) == [b"new"]
            await other.generation.poll()
            assert await other.values(COMMANDS[0]) == [b"new"]

    asyncio.run(noticed_after_the_fill())


def test_nothing_is_cached_while_the_generation_is_not_known(client: redis.Redis) -> None:
    async def unknown() -> None:
        async with opened() as caches:
            caches.generation.current = None
            assert caches.cache.known([COMMANDS[0]]) is None
            assert [await caches.values(COMMANDS[0]) for _ in range(2)] == [[b"old"], [b"old"]]
            assert caches.store.reads == [COMMANDS[0]] * 2

    asyncio.run(unknown())


def test_a_reply_comes_back_from_redis_as_it_was(client: redis.Redis) -> None:
    async def through_redis() -> None:
        async with opened() as first, opened() as second:
            replies, read = await first.cache.obtain(COMMANDS)
            assert set(read) == set(COMMANDS)
            await filled(len(COMMANDS))
            assert await second.cache.obtain(COMMANDS) == (replies, set())
            assert second.cache.known(COMMANDS) == replies

    asyncio.run(through_redis())


def test_garbage_in_the_caches_database_is_read_past(client: redis.Redis) -> None:
    async def garbage() -> None:
        async with opened() as first, opened() as second:
            await first.values(*COMMANDS[:3])
            await filled(3)
            keys = sorted(cache_database().keys("features:*"))
            for key, content in zip(keys, (b"", b"x" * 20, b"12345678:7\r\n"), strict=True):
                cache_database().set(key, content)
            assert await second.values(*COMMANDS[:3]) == [b"old"] * 3

    asyncio.run(garbage())


def test_the_shared_cache_takes_no_more_than_its_bound(client: redis.Redis) -> None:
    async def at_the_bound() -> None:
        async with opened(shared_entries=2) as caches:
            await caches.values(*COMMANDS[:2])
            await filled(2)
            await caches.shared.count()
            await caches.values(*COMMANDS[2:])
            await caches.shared.get(b"", COMMANDS)  # behind any fill on the same connection
            assert len(cache_database().keys("features:*")) == 2

    asyncio.run(at_the_bound())


# ---- The cache in the process ----------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=50), st.integers(1, 4))
def test_the_process_keeps_what_was_used_last(uses: list[tuple[int, bool]], bound: int) -> None:
    cache, recent = LocalCache(bound, 10, now=lambda: 0.0), []  # type: ignore[var-annotated]
    for number, is_put in uses:
        key = b"%d" % number
        if is_put:
            cache.put(key, Kept(0.0, [key]))
            recent = [*(k for k in recent if k != key), key][-bound:]
        else:
            assert cache.get(key) == ([key] if key in recent else None)
            recent = [k for k in recent if k != key] + [key] * (key in recent)
    assert len(cache) == len(recent)


def test_what_is_kept_in_the_process_ends() -> None:
    clock = [0.0]
    cache = LocalCache(5, 300, now=lambda: clock[0])
    cache.put(b"k", Kept(0.0, [b"v"]))
    clock[0] = 299.0
    assert cache.get(b"k") == [b"v"]
    clock[0] = 301.0
    assert cache.get(b"k") is None
    assert len(cache) == 0
