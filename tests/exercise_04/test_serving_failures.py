"""Redis unavailable, slow, full and back: the API's responses, and recovery without a restart."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.settings import settings
from lab.stack.redis import RedisServer
from tests.exercise_04.serving_shop import (
    BOTH,
    Body,
    cache_database,
    cold_start,
    live_api,
    payments,
    running_api,
    users_payments,
)
from tests.redis_proxy import RedisProxy, redis_proxy
from tests.shop import Shop
from tests.waiting import eventually

BACK_S = 2.0


def predict(api: httpx.Client, payment: Body) -> int:
    answer = api.post("/predict", json=payment)
    if answer.status_code == 503:
        assert answer.headers["retry-after"] == "1"
        assert "Redis" in answer.json()["detail"] or "no answer" in answer.json()["detail"]
    return answer.status_code


def health(api: httpx.Client) -> tuple[int, str]:
    answer = api.get("/health")
    return answer.status_code, answer.json()["status"]


@pytest.mark.parametrize("floor", BOTH)
def test_redis_stopped_and_back(
    shop: Shop, shop_redis: RedisServer, floor: str, tmp_path: Path
) -> None:
    payment = payments(1)[0]
    with live_api(tmp_path / "log", floor == "production", api_workers=1) as live:
        api = live.client
        assert (predict(api, payment), health(api)) == (200, (200, "healthy"))
        shop_redis.stop()
        try:
            assert [predict(api, payment) for _ in range(3)] == [503] * 3
            assert health(api) == (503, "unhealthy")
            if floor == "production":
                assert api.get("/ready").status_code == 503
                assert api.get("/live").status_code == 200
            assert api.get("/stats").status_code == 503
            assert api.get("/metrics").status_code == 200
        finally:
            shop_redis.start()
        back = time.monotonic()
        eventually(lambda: predict(api, payment) == 200 and health(api) == (200, "healthy"))
        assert time.monotonic() - back < BACK_S


@pytest.mark.parametrize("floor", BOTH)
def test_it_starts_while_redis_is_unavailable(
    shop: Shop, shop_redis: RedisServer, floor: str
) -> None:
    shop_redis.stop()
    try:
        with running_api(floor == "production") as api:
            assert predict(api, payments(1)[0]) == 503
            shop_redis.start()
            eventually(lambda: predict(api, payments(1)[0]) == 200)
    finally:
        if not shop_redis.is_running():
            shop_redis.start()


@pytest.fixture
def slow(shop_redis: RedisServer) -> Iterator[RedisProxy]:
    with redis_proxy(shop_redis.port) as proxy:
        yield proxy


@pytest.mark.parametrize("floor", BOTH)
def test_each_reply_comes_two_seconds_late(shop: Shop, slow: RedisProxy, floor: str) -> None:
    with running_api(floor == "production", redis_port=slow.port) as api:
        slow.delay_replies(2.0)
        for payment in payments(2):
            begin = time.monotonic()
            assert predict(api, payment) == 503
            assert time.monotonic() - begin < 3 * settings.online_read_timeout_s + 0.9
        assert health(api) == (503, "unhealthy")
        slow.delay_replies(0.0)
        eventually(lambda: predict(api, payments(1)[0]) == 200 and health(api)[0] == 200)


@pytest.mark.parametrize("floor", BOTH)
def test_a_full_redis_predicts_without_caching(
    shop: Shop, shop_redis: RedisServer, floor: str
) -> None:
    client = shop_redis.client()
    cache_database().flushdb()
    *first, of_another_user = users_payments(21)
    with cold_start(), running_api(floor == "production") as api:
        client.config_set("maxmemory", 1)
        try:
            assert [predict(api, payment) for payment in first] == [200] * 20
            assert cache_database().keys("features:*") == []
        finally:
            client.config_set("maxmemory", "256mb")
        predict(api, of_another_user)  # not in the local cache of production
        assert cache_database().keys("features:*") != []
