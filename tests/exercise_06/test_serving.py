"""The serving side, on a real Redis and a real API's metrics."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    start_wsgi_server,
    values,
)
from prometheus_client.registry import Collector

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY, STREAMING_VIEW
from exercise_03_materialize.materialize import VIEWS, initial_materialization
from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.serving import (
    MAX_ONLINE_AGE_H,
    check_api,
    check_redis,
    check_streaming,
)
from exercise_06_monitoring.state import check_measured
from exercise_06_monitoring.windows import features_of, read_rows, read_views
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1)


@pytest.fixture
def client(shop_redis: RedisServer, shop: Path, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """Return a client of the shop's Redis, emptied."""
    client = shop_redis.client()
    client.flushall()
    return client


def checks(moment: datetime = AS_OF) -> dict[str, bool | None]:
    """Return the results by feature."""
    tables = [(view, read_rows(view, moment - timedelta(days=30), moment)) for view in read_views()]
    return {check.feature: check.passed for check in check_redis(tables, moment)}


def test_redis_that_holds_what_it_should_passes(client: redis.Redis) -> None:
    initial_materialization()
    measured = {name for name, passed in checks().items() if passed}
    assert measured == {"redis", *(f"{view}.age" for view in VIEWS)}


def test_redis_that_falls_behind_fails(client: redis.Redis) -> None:
    initial_materialization()
    late = checks(AS_OF + timedelta(hours=MAX_ONLINE_AGE_H + 1))
    assert late["merchant_risk_features.age"] is False


def test_a_redis_that_was_emptied_is_an_alert_that_names_no_feature(client: redis.Redis) -> None:
    initial_materialization()
    client.set(PROGRESS_KEY, round(AS_OF.timestamp() * 1_000))
    tables = [(view, read_rows(view, AS_OF - timedelta(days=30), AS_OF)) for view in read_views()]
    assert all(check.passed for check in check_measured(check_redis(tables, AS_OF)))
    client.flushall()
    for _ in range(2):
        (lost,) = check_measured(check_redis(tables, AS_OF))
        assert (lost.passed, lost.severity) == (False, "critical")
        assert not any(name in lost.text for view, _ in tables for name in features_of(view))


def test_a_redis_without_values_is_not_measured(client: redis.Redis) -> None:
    assert {passed for name, passed in checks().items() if name != "redis"} == {None}


@pytest.mark.parametrize(("age_s", "passed"), [(29, True), (31, False), (90_000, False)])
def test_the_age_of_streaming_values_is_checked(
    client: redis.Redis, age_s: int, passed: bool
) -> None:
    client.set(PROGRESS_KEY, round((AS_OF.timestamp() - age_s) * 1_000))
    check = check_streaming(AS_OF)
    assert (check.passed, check.severity) == (passed, "critical")
    assert f"{age_s:,} s old" in check.message
    assert checks()[f"{STREAMING_VIEW}.progress"] is passed
    assert check_streaming(AS_OF - timedelta(days=5)).passed is None, "as of earlier data"
    client.delete(PROGRESS_KEY)
    assert check_streaming(AS_OF).passed is None


def test_a_redis_that_is_unavailable_fails(
    client: redis.Redis, point_settings: PointSettings
) -> None:
    point_settings(redis_port=free_port())
    assert checks() == {"redis": False}


# ---- The API's metrics -----------------------------------------------------------------------


class Api(Collector):
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

    def collect(self) -> Iterable[Metric]:
        return self.registry.collect()

    def answer(self, count: int, seconds: float, status: str = "200", hit: bool = True) -> None:
        for _ in range(count):
            self.latency.observe(seconds)
            self.responses.labels("/predict", status).inc()
            (self.hits if hit else self.misses).inc()


@pytest.fixture
def api(
    monkeypatch: pytest.MonkeyPatch, point_settings: PointSettings, tmp_path: Path
) -> Iterator[Api]:
    # Exercise 4's tests make the process one of its workers, whose counts all registries share.
    monkeypatch.setattr(values, "ValueClass", values.MutexValue)
    service, port = Api(), free_port()
    server, thread = start_wsgi_server(port, "127.0.0.1", service)
    point_settings(api_port=port, data_dir=tmp_path)
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


def api_checks() -> dict[str, Check]:
    """Run the checks once, and so store the counts for the next run."""
    return {check.feature: check for check in check_api()}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.passed is False}


def test_a_healthy_service_passes(api: Api) -> None:
    api.answer(150, 0.004)
    api.answer(50, 0.008, hit=False)
    found = api_checks()
    assert all(check.passed for check in found.values())
    assert "p95 10 ms" in found["api.latency"].message
    assert found["api.hit_rate"].message.startswith("75.0%")


def test_slowness_errors_and_misses_fail(api: Api) -> None:
    api.answer(120, 0.004)
    api.answer(60, 0.004, hit=False)
    api.answer(20, 0.09, status="503", hit=False)
    found = api_checks()
    assert failed(found) == {"api.latency", "api.error_rate", "api.hit_rate"}
    assert found["api.error_rate"].message.startswith("10.0%")


def test_requests_that_all_failed_measure_no_latency_and_no_hit_rate(api: Api) -> None:
    api.responses.labels("/predict", "503").inc(200)
    found = api_checks()
    assert found["api.error_rate"].passed is False
    assert (found["api.latency"].passed, found["api.hit_rate"].passed) == (None, None)


def test_only_requests_since_the_last_run_count(api: Api) -> None:
    api.answer(500, 0.09, status="500")
    api_checks()
    api.answer(200, 0.004)
    found = api_checks()
    assert failed(found) == set()
    assert found["api"].message.startswith("200 requests")
    api.restart()
    api.answer(150, 0.004)
    assert api_checks()["api"].message.startswith("150 requests"), "counters restart from zero"


def test_few_requests_wait_for_more(api: Api) -> None:
    """All requests fail at low traffic: 40 an hour are found in the third hour."""
    found = []
    for _ in range(3):
        api.answer(40, 0.004, status="500")
        found.append(api_checks())
    assert [set(checks) for checks in found[:2]] == [{"api"}] * 2, "an idle hour is no alert"
    assert found[2]["api.error_rate"].passed is False
    assert found[2]["api"].message.startswith("120 requests")


def test_an_unavailable_service_is_not_measured_and_lost_once_it_was_there(
    api: Api, point_settings: PointSettings
) -> None:
    port = settings.api_port
    point_settings(api_port=free_port())
    for is_lost in (False, True, True):
        found = list(check_api())
        assert [check.passed for check in found] == [None]
        (lost,) = check_measured(found)
        assert (lost.passed, lost.severity) == (not is_lost, "critical" if is_lost else "warning")
        point_settings(api_port=port)
        assert api_checks()["api"].passed
        assert all(check.passed for check in check_measured(list(check_api())))
        point_settings(api_port=free_port())
