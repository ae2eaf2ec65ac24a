"""Several workers, started by server.py: one count over all, deaths, shutdowns, overload."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from lab.stack.redis import RedisServer
from tests.exercise_04.serving_shop import SECONDS, LiveApi, live_api, payments
from tests.redis_proxy import RedisProxy, redis_proxy
from tests.shop import Shop
from tests.waiting import eventually

WORKERS, TRIES = 2, 10


@pytest.fixture(scope="module")
def served(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    folder = tmp_path_factory.mktemp("api")
    with live_api(folder / "api.log", api_workers=WORKERS, max_in_flight=1_000) as api:
        yield api


async def at_once(api: LiveApi, bodies: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Send each on a connection of its own, all at the same time; again after a 503 (overload)."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(api.url, connector=connector) as session:

        async def send(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            for _ in range(TRIES):
                async with session.post("/predict", json=body) as answer:
                    found = answer.status, await answer.json()
                if answer.status != 503:
                    break
            return found

        return list(await asyncio.gather(*(send(body) for body in bodies)))


def total(api: LiveApi) -> int:
    with httpx.Client(base_url=api.url) as fresh:  # whichever worker takes the connection
        count: int = fresh.get("/stats").json()["total_predictions"]
    return count


def test_counts_are_of_all_workers_also_of_a_dead_one(served: LiveApi) -> None:
    before = total(served)
    bodies = payments(200)
    for status, _ in asyncio.run(at_once(served, bodies)):
        assert status == 200
    assert {total(served) for _ in range(20)} == {before + 200}
    victim = served.workers[0]
    victim.kill()
    eventually(lambda: len(served.workers) == WORKERS and victim not in served.workers)
    eventually(lambda: is_answered(served))
    assert {total(served) for _ in range(20)} == {before + 200}
    status, _ = asyncio.run(at_once(served, bodies[:1]))[0]
    assert status == 200
    assert {total(served) for _ in range(20)} == {before + 201}
    eventually(lambda: in_flight(served) == 0)


def in_flight(api: LiveApi) -> float:
    with httpx.Client(base_url=api.url) as fresh:
        lines = fresh.get("/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("requests_in_flight "))
    return float(line.split()[1])


def is_answered(api: LiveApi) -> bool:
    try:
        with httpx.Client(base_url=api.url, timeout=SECONDS) as fresh:
            return fresh.get("/live").is_success
    except httpx.TransportError:
        return False


def test_a_thousand_at_once_get_their_own_answers(served: LiveApi) -> None:
    bodies = payments(1_000)
    answers = asyncio.run(at_once(served, bodies))
    assert {status for status, _ in answers} == {200}
    pairs = [(body["user_id"], body["merchant_id"]) for body in bodies]
    assert [(answer["user_id"], answer["merchant_id"]) for _, answer in answers] == pairs
    alone = served.client.post("/predict", json=bodies[7]).json()
    latencies = {"latency_ms": 0.0}
    assert answers[7][1] | latencies == alone | latencies


@dataclass(frozen=True)
class Waiting:
    """The API behind a proxy, and predictions that wait for Redis."""

    api: LiveApi
    redis: RedisProxy
    requests: Sequence[Future[httpx.Response]]


@contextmanager
def waiting(port: int, log: Path, **changes: Any) -> Iterator[Waiting]:
    """Send 20 predictions; each reply of Redis comes 0.2 s late, or waits for its release."""
    changes = {"online_read_timeout_s": SECONDS, "drain_timeout_s": int(SECONDS)} | changes
    with (
        redis_proxy(port) as proxy,
        live_api(log, redis_port=proxy.port, feature_cache="off", **changes) as api,
        ThreadPoolExecutor(20) as threads,
    ):
        api.client.post("/predict", json=payments(1)[0])
        proxy.delay_replies(0.2)
        proxy.hold_replies()
        url = f"{api.url}/predict"
        bodies = payments(20)
        yield Waiting(
            api, proxy, [threads.submit(httpx.post, url, json=b, timeout=SECONDS) for b in bodies]
        )


def test_sigterm_finishes_what_is_in_flight(
    shop: Shop, shop_redis: RedisServer, tmp_path: Path
) -> None:
    with waiting(shop_redis.port, tmp_path / "api.log", api_workers=WORKERS) as load:
        eventually(lambda: in_flight(load.api) == 20)  # a connection not yet accepted is reset
        load.api.terminate()
        eventually(lambda: load.api.log.read_text().count("Shutting down") == WORKERS)
        load.redis.release_replies()
        assert [request.result().status_code for request in load.requests] == [200] * 20
        assert load.api.process.wait(SECONDS) == 0


def test_requests_above_the_limit_are_refused_at_once(
    shop: Shop, shop_redis: RedisServer, tmp_path: Path
) -> None:
    """The part `middleware`: without it every request waits for Redis."""
    log = tmp_path / "api.log"
    with waiting(shop_redis.port, log, api_workers=1, max_in_flight=15) as load:
        refused = [r.result() for r in islice(as_completed(load.requests, SECONDS), 5)]
        load.redis.release_replies()
        answers = [request.result() for request in load.requests]
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert sum(answer.status_code == 200 for answer in answers) == 15


def test_probes_answer_while_requests_wait(
    shop: Shop, shop_redis: RedisServer, tmp_path: Path
) -> None:
    """The part `health`: /health reads features, so it waits for the reads of the predictions."""
    limits = {"api_workers": 1, "max_reads_at_once": 1, "online_read_timeout_s": 1}
    with waiting(shop_redis.port, tmp_path / "api.log", **limits) as load:
        eventually(lambda: in_flight(load.api) > 15)
        for probe, status in (("/live", 200), ("/ready", 503)):
            assert load.api.client.get(probe).status_code == status
        assert not all(request.done() for request in load.requests)
        load.redis.release_replies()
