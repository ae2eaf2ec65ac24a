"""How the API is operated: probes, counts, logs, keys, limits, documentation."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from exercise_04_serving.production.middleware import BodyLimit, LoadShedder, RequestLog
from tests.exercise_04.serving_shop import cache_database, payments, running_api
from tests.shop import Shop

DESCRIBED = ["/predict", "/predict/batch", "/health", "/stats", "/metrics"]


# ---- Probes and counts -----------------------------------------------------------------------


def test_a_whole_service_is_healthy(api: TestClient) -> None:
    answer = api.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "redis": "up",
        "feast": "up",
        "cache": "up",
        "version": "1.0.0",
    }


def test_probes(production_api: TestClient) -> None:
    for path in ("/live", "/ready"):
        assert production_api.get(path).status_code == 200


def samples(api: TestClient) -> dict[str, float]:
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if not sample.labels
    }


def test_metrics_and_stats_count_payments(api: TestClient) -> None:
    before, stats = samples(api), api.get("/stats").json()
    batch = payments(30)
    api.post("/predict/batch", json={"transactions": batch})
    api.post("/predict", json=batch[0])
    after, stats_after = samples(api), api.get("/stats").json()
    assert after["predictions_total"] == before["predictions_total"] + 31
    assert stats_after["total_predictions"] == stats["total_predictions"] + 31
    name = "prediction_latency_seconds_count"
    assert after[name] == before[name] + 2
    looked_up = [s["cache_hits"] + s["cache_misses"] for s in (stats, stats_after)]
    assert looked_up[1] == looked_up[0] + 62  # users and merchants
    total = stats_after["cache_hits"] + stats_after["cache_misses"]
    assert stats_after["cache_hit_rate"] == stats_after["cache_hits"] / total
    assert stats_after["redis_keys"] == cache_database().dbsize()
    assert stats_after["redis_memory_mb"] > 0


# ---- Logs ------------------------------------------------------------------------------------


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_request_is_a_line_with_its_id_and_nothing_of_its_body(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    payment = payments(1)[0]
    with running_api() as api:
        answer = api.post("/predict", json=payment, headers={"X-Request-ID": "order-7"})
        api.post("/predict", json=payment | {"transaction_amount": -98.765})
        api.get(f"/{payment['user_id']}")
    output = capsys.readouterr().out
    requests = [line for line in lines(output) if line["message"] == "request"]
    assert answer.headers["x-request-id"] == "order-7"
    assert [(line["route"], line["status"]) for line in requests] == [
        ("/predict", 200),
        ("/predict", 422),
        ("none", 404),
    ]
    assert requests[0]["request_id"] == "order-7"
    assert requests[1]["request_id"] != requests[2]["request_id"]
    for value in (payment["user_id"], payment["merchant_id"], "98.765"):
        assert value not in output


@pytest.mark.parametrize("given", ["", "a b", "x" * 65])
def test_a_request_id_that_is_no_id_is_replaced(production_api: TestClient, given: str) -> None:
    answer = production_api.get("/stats", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_an_unforeseen_error_is_a_500_that_tells_no_values(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("user_1 paid 129.90")

    with running_api() as api:
        monkeypatch.setattr("exercise_04_serving.app.main.compute_on_demand_features", fails)
        answer = api.post("/predict", json=payments(1)[0])
    assert answer.status_code == 500
    (error,) = [line for line in lines(capsys.readouterr().out) if line["level"] == "ERROR"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["error"].startswith("RuntimeError at ")
    assert "fails" in error["error"]
    for text in (answer.text, json.dumps(error)):
        assert "paid 129.90" not in text


# ---- Keys ------------------------------------------------------------------------------------


@pytest.fixture
def locked_api(shop: Shop) -> Iterator[TestClient]:
    from pydantic import SecretStr

    with running_api(api_key=SecretStr("sesame")) as client:
        yield client


def test_with_a_key_only_probes_and_documentation_are_open(locked_api: TestClient) -> None:
    body, wrong, right = payments(1)[0], {"X-API-Key": "simsim"}, {"X-API-Key": "sesame"}
    for headers in ({}, wrong):
        assert locked_api.post("/predict", json=body, headers=headers).status_code == 401
        for path in ("/stats", "/metrics", "/nowhere"):
            assert locked_api.get(path, headers=headers).status_code == 401
    for path in ("/live", "/ready", "/health", "/docs", "/openapi.json"):
        assert locked_api.get(path).status_code == 200
    assert locked_api.post("/predict", json=body, headers=right).status_code == 200


# ---- Limits ----------------------------------------------------------------------------------


async def ask(app: Any, count: int = 1, **request: Any) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        asked = [client.post("/predict", **request) for _ in range(count)]
        return await asyncio.gather(*asked)


class Waiting:
    """An endpoint that answers when it may."""

    def __init__(self, in_work: int = 1) -> None:
        self.missing, self.full, self.may_answer = in_work, asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.missing -= 1
        if not self.missing:
            self.full.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_above_the_limit_it_sheds_and_below_it_again_it_does_not() -> None:
    async def shed() -> None:
        endpoint = Waiting(in_work=1_000)
        app = RequestLog(LoadShedder(endpoint, 1_000))
        held = asyncio.create_task(ask(app, 1_000))
        await endpoint.full.wait()
        for answer in await ask(app, 50):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
        endpoint.may_answer.set()
        assert {answer.status_code for answer in await held} == {200}
        assert [answer.status_code for answer in await ask(app)] == [200]

    asyncio.run(shed())


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def never_whole() -> Any:
        yield b'{"user_id":'
        await asyncio.Event().wait()

    app = BodyLimit(Waiting(), 1_000, 0.05)
    headers = {"content-type": "application/json"}
    (answer,) = asyncio.run(ask(app, content=never_whole(), headers=headers))
    assert answer.status_code == 408
    assert answer.json()["detail"].startswith("body: ")


def test_the_documentation_has_the_endpoints(api: TestClient) -> None:
    page = api.get("/openapi.json").json()
    assert sorted(page["paths"]) == sorted(DESCRIBED)
