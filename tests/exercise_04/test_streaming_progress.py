"""Streaming features are exact at the job's progress time, or unknown."""

import time

import pytest
from fastapi.testclient import TestClient

from exercise_01_setup.feature_repo.missing_values import MAX_PROGRESS_AGE_S, PROGRESS_KEY
from lab.stack.redis import RedisServer
from tests.exercise_04.serving_shop import Body, payments, predict, publish_progress
from tests.waiting import eventually

COUNT = "transaction_count_5m"


def streaming(answer: Body) -> Body:
    return {n: v for n, v in answer["features"].items() if n.endswith(("_5m", "_1h"))}


def health(api: TestClient) -> tuple[int, str, str]:
    answer = api.get("/health")
    return answer.status_code, answer.json()["status"], answer.json()["streaming"]


def test_before_a_job_has_run_streaming_is_unknown_and_the_service_healthy(
    api: TestClient, shop_redis: RedisServer
) -> None:
    shop_redis.client().delete(PROGRESS_KEY)
    eventually(lambda: health(api) == (200, "healthy", "unknown"))
    answer = predict(api, payments(1)[0])
    assert set(streaming(answer).values()) == {None}
    assert set(streaming(answer)) <= set(answer["missing"])


@pytest.mark.parametrize("age_s", [MAX_PROGRESS_AGE_S + 1, -MAX_PROGRESS_AGE_S - 2, None])
def test_a_job_that_has_stopped_degrades_it(
    api: TestClient, shop_redis: RedisServer, age_s: float | None
) -> None:
    """So do a writer whose clock is wrong, and a time that is no number."""
    if age_s is None:
        shop_redis.client().set(PROGRESS_KEY, b"\xff")
    else:
        publish_progress(age_s)
    eventually(lambda: health(api) == (200, "degraded", "unknown"))
    answer = predict(api, payments(1)[0])
    assert set(streaming(answer).values()) == {None}
    assert set(streaming(answer)) <= set(answer["missing"])
    publish_progress()
    eventually(lambda: health(api) == (200, "healthy", "current"))
    parts = {"redis": "up", "feast": "up", "streaming": "current"}
    assert api.get("/health").json() == {"status": "healthy", **parts, "version": "1.0.0"}
    assert streaming(predict(api, payments(1)[0]))[COUNT] == 0


def test_production_reads_the_progress_time_once_a_second(
    production_api: TestClient, shop_redis: RedisServer
) -> None:
    client, payment = shop_redis.client(), payments(1)[0]
    started = time.monotonic()
    with client.monitor() as monitor:
        for _ in range(20):
            predict(production_api, payment)
        client.ping()
        reads = 0
        while (command := monitor.next_command()["command"]) != "PING":
            reads += command == f"GET {PROGRESS_KEY}"
    assert reads <= time.monotonic() - started + 1
