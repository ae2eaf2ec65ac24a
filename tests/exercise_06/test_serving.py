"""The serving side, on a real Redis and a real API's metrics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import pytest
import redis
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values

from exercise_03_materialize.materialize import initial_materialization
from exercise_06_monitoring.production.check import Check
from exercise_06_monitoring.production.serving.metrics import Serving, quantile, scrape, since
from exercise_06_monitoring.production.serving.serving import check_api, check_online_store
from exercise_06_monitoring.production.watch import watch_quality
from feast_plugins.redis_encoding import entity_key, time_field
from lab.feature_store import MATERIALIZED_VIEWS, open_store
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from tests.exercise_06.properties import steady
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

STREAMING = "user_streaming_features"
POLL_S = 0.02
BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1)


@pytest.fixture
def client(shop_redis: RedisServer, shop: Path, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """The shop's Redis, emptied."""
    client = shop_redis.client()
    client.flushall()
    return client


def checks() -> dict[str, list[Check]]:
    return check_online_store(open_store(), AS_OF)


def test_redis_that_holds_what_it_should_passes(client: redis.Redis) -> None:
    initial_materialization()
    found = checks()
    for view in MATERIALIZED_VIEWS:
        consistency, materialized = found[view]
        assert (consistency.value, consistency.passed) == (0, True), consistency.message
        assert (materialized.value, materialized.passed) == (0, True)


def test_entities_that_are_lost_are_told(client: redis.Redis) -> None:
    initial_materialization()
    users = [key for key in client.scan_iter(_type="hash") if b"user_id" in key]
    client.delete(*users[: len(users) // 2])
    consistency, _ = checks()["user_transaction_features"]
    assert not consistency.passed
    assert 0.3 < consistency.value < 0.7
    assert checks()["merchant_risk_features"][0].passed


def test_redis_that_falls_behind_is_told(client: redis.Redis) -> None:
    initial_materialization()
    later = AS_OF + settings.materialized_within + timedelta(minutes=1)
    consistency, materialized = check_online_store(open_store(), later)["merchant_risk_features"]
    assert (consistency.passed, materialized.passed) == (True, False)


def test_a_redis_that_nobody_filled_is_no_alarm(client: redis.Redis) -> None:
    for of_view in checks().values():
        assert [(check.passed, check.is_measured) for check in of_view] == [(True, False)]


def test_a_redis_that_is_away_is_told(client: redis.Redis, point_settings: PointSettings) -> None:
    point_settings(redis_port=free_port())
    assert [(check.check, check.passed) for check in checks()["redis"]] == [("answers", False)]


def stored(moment: datetime) -> bytes:
    """A time as Feast keeps it."""
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp.SerializeToString()


@pytest.mark.parametrize(("minutes", "passes"), [(-1, True), (5, True), (90, False)])
def test_streaming_features_that_grow_old_are_told(
    client: redis.Redis, shop: Path, minutes: int, passes: bool
) -> None:
    payments = pl.read_parquet(shop / "transactions.parquet").sort("event_timestamp")
    store, user = open_store(), payments["user_id"][-1]
    moment = AS_OF - timedelta(minutes=minutes)
    client.hset(entity_key(store.project, "user_id", user), time_field(STREAMING), stored(moment))
    (freshness,) = checks()[STREAMING]
    assert freshness.passed == passes
    assert freshness.value == max(60 * minutes, 0)


# ---- The API's metrics -----------------------------------------------------------------------


class Api:
    """The metrics of exercise 4's service, under its names, and a server of them."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        self.latency = Histogram("prediction_latency_seconds", "", buckets=BOUNDS, **made)
        self.responses = Counter("http_responses", "", ["route", "status"], **made)
        self.hits = Counter("feature_cache_hits", "", **made)
        self.misses = Counter("feature_cache_misses", "", **made)

    def answer(self, count: int, seconds: float, status: str = "200", hit: bool = True) -> None:
        for _ in range(count):
            self.latency.observe(seconds)
            self.responses.labels("/predict", status).inc()
            (self.hits if hit else self.misses).inc()


@contextmanager
def serving(content: Callable[[], bytes]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, args=(POLL_S,), daemon=True)
        thread.start()
        yield http.server_address[1]
        http.shutdown()
        thread.join()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, point_settings: PointSettings) -> Iterator[Api]:
    # Exercise 4's tests make the process one of its workers, whose counts all registries share.
    monkeypatch.setattr(values, "ValueClass", values.MutexValue)
    service = Api()
    with serving(lambda: generate_latest(service.registry)) as port:
        point_settings(api_port=port)
        yield service


def judged(before: dict[str, float] | None = None) -> dict[str, Check]:
    return {check.check: check for check in check_api(before)[0]}


def test_a_service_that_is_well(api: Api) -> None:
    api.answer(150, 0.004)
    api.answer(50, 0.008, hit=False)
    found = judged()
    assert all(check.passed for check in found.values())
    assert found["requests"].value == 200
    assert found["hit_rate"].value == 0.75
    assert found["error_rate"].value == 0
    assert 1 <= found["latency_p50_ms"].value <= 5 <= found["latency_p95_ms"].value <= 10


def test_slowness_and_errors_are_told(api: Api) -> None:
    api.answer(180, 0.004)
    api.answer(20, 0.09, status="503")
    found = judged()
    assert {name for name, check in found.items() if not check.passed} == {
        "latency_p95_ms",
        "error_rate",
    }
    assert found["error_rate"].value == 0.1


def test_only_what_happened_since_the_last_look_counts(api: Api) -> None:
    api.answer(500, 0.09, status="500")
    before = scrape()
    api.answer(200, 0.004)
    assert all(check.passed for check in judged(before).values())
    assert judged(before)["requests"].value == 200
    api.restart()
    api.answer(300, 0.004)
    assert judged(before)["requests"].value == 300, "it was started anew, and counts from zero"


def test_few_requests_are_not_judged(api: Api) -> None:
    api.answer(3, 0.09, status="500")
    found = judged()
    assert found["answers"].passed
    assert not found["latency"].is_measured


@pytest.mark.parametrize(
    ("before", "passes"), [(None, True), ({"http_responses_total|200": 9.0}, False)]
)
def test_a_service_that_is_away_is_an_alarm_if_it_was_there(
    before: dict[str, float] | None, passes: bool, point_settings: PointSettings
) -> None:
    point_settings(api_port=free_port())
    assert judged(before)["answers"].passed == passes


def test_an_answer_that_is_no_metrics_counts_as_away(point_settings: PointSettings) -> None:
    with serving(lambda: b"<html>{") as port:
        point_settings(api_port=port)
        assert not judged({"http_responses_total|200": 9.0})["answers"].passed


def test_a_run_remembers_the_counts_for_the_next(api: Api, shop: Path) -> None:
    api.answer(500, 0.09, status="500")
    watch_quality(AS_OF)
    api.answer(200, 0.004)
    _, found = watch_quality(AS_OF + timedelta(hours=1))
    (requests,) = [check for check in found["serving API"] if check.check == "requests"]
    assert requests.value == 200


seconds = st.lists(st.floats(1e-5, 0.099), min_size=1, max_size=200)


@steady
@given(seconds, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_exact_one(values: list[float], share: float) -> None:
    buckets = [(bound, float(sum(v <= bound for v in values))) for bound in (*BOUNDS, np.inf)]
    exact = sorted(values)[int(np.ceil(share * len(values))) - 1]
    low = max([0.0, *(bound for bound in BOUNDS if bound < exact)])
    high = min(bound for bound in BOUNDS if bound >= exact)
    assert low <= quantile(buckets, share) <= high


@steady
@given(st.dictionaries(st.text(max_size=3), st.integers(0, 99)), st.data())
def test_the_difference_of_two_looks_is_what_was_added(
    before: dict[str, int], data: st.DataObject
) -> None:
    added = {name: data.draw(st.integers(0, 99)) for name in before}
    now = {name: float(count + added[name]) for name, count in before.items()}
    assert since(before, now) == added
    assert Serving.of({}).requests == 0
