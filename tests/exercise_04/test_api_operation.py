"""Operation of the API: counts, logs, keys, limits, documentation."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from exercise_04_serving.app.main import create_app
from exercise_04_serving.production import middleware
from exercise_04_serving.production.middleware import BodyLimit
from tests.exercise_04.serving_shop import cache_database, payments, running_api
from tests.shop import Shop

DESCRIBED = ["/predict", "/predict/batch", "/health", "/stats", "/metrics"]


# ---- Counts ----------------------------------------------------------------------------------


def samples(api: TestClient) -> dict[str, float]:
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if not sample.labels
    }


def test_metrics_and_stats_count_payments(shared_api: TestClient) -> None:
    before, stats = samples(shared_api), shared_api.get("/stats").json()
    batch = payments(30)
    shared_api.post("/predict/batch", json={"transactions": batch})
    shared_api.post("/predict", json=batch[0])
    after, stats_after = samples(shared_api), shared_api.get("/stats").json()
    assert after["predictions_total"] == before["predictions_total"] + 31
    assert stats_after["total_predictions"] == stats["total_predictions"] + 31
    name = "prediction_latency_seconds_count"
    assert after[name] == before[name] + 2
    looked_up = [s["cache_hits"] + s["cache_misses"] for s in (stats, stats_after)]
    keys = {one[key] for one in batch for key in ("user_id", "merchant_id")}
    assert looked_up[1] == looked_up[0] + len(keys) + 2
    total = stats_after["cache_hits"] + stats_after["cache_misses"]
    assert stats_after["cache_hit_rate"] == stats_after["cache_hits"] / total
    assert stats_after["redis_keys"] == cache_database().dbsize()
    assert stats_after["redis_memory_mb"] > 0


def test_a_rate_of_errors_has_a_series_before_the_first_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    responses = Counter("responses", "", ["route", "status"], registry=CollectorRegistry())
    monkeypatch.setattr(middleware, "RESPONSES", responses)
    middleware.LoadShedder(create_app(), limit=1)
    (family,) = responses.collect()
    series = {(sample.labels["route"], sample.labels["status"]) for sample in family.samples}
    assert series >= set(product(("/predict", "/predict/batch"), ("200", "500", "503")))


def test_an_unforeseen_error_is_a_500_without_its_values(
    shared_api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("user_1 paid 129.90")

    monkeypatch.setattr("exercise_04_serving.app.main.compute_on_demand_features", fails)
    answer = shared_api.post("/predict", json=payments(1)[0])
    assert (answer.status_code, answer.json()) == (500, {"detail": "internal error"})


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
        assert locked_api.get(path).status_code == locked_api.head(path).status_code == 200
    assert locked_api.post("/predict", json=body, headers=right).status_code == 200


# ---- Limits ----------------------------------------------------------------------------------


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def never_whole() -> Any:
        yield b'{"user_id":'
        await asyncio.Event().wait()

    async def send_half() -> httpx.Response:
        app = BodyLimit(create_app(), 1_000, 0.05)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            headers = {"content-type": "application/json"}
            return await client.post("/predict", content=never_whole(), headers=headers)

    answer = asyncio.run(send_half())
    assert answer.status_code == 408
    assert answer.json()["detail"].startswith("body: ")


def test_the_documentation_has_the_endpoints(shared_api: TestClient) -> None:
    page = shared_api.get("/openapi.json").json()
    assert sorted(page["paths"]) == sorted(DESCRIBED)


# ---- Requests as other clients send them -------------------------------------------------------


def test_head_is_answered_wherever_get_is(shared_api: TestClient) -> None:
    for path in ("/health", "/stats", "/metrics", "/docs", "/openapi.json"):
        assert shared_api.head(path).status_code == shared_api.get(path).status_code == 200
        assert not shared_api.head(path).content


def body_of_a_payment() -> bytes:
    return json.dumps(payments(1)[0]).encode()


def test_a_compressed_body_is_refused(shared_api: TestClient) -> None:
    for encoding in ("gzip", "br", "zstd", "deflate", "gzip, br"):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        content = gzip.compress(body_of_a_payment())
        answer = shared_api.post("/predict", content=content, headers=headers)
        assert answer.status_code == 415
        assert "Content-Encoding" in answer.json()["detail"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-8"])
def test_json_is_read_in_every_unicode_encoding(shared_api: TestClient, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    content = body_of_a_payment().decode().encode(encoding)
    assert shared_api.post("/predict", content=content, headers=headers).status_code == 200
    answer = shared_api.post("/predict", content="{}".encode(encoding), headers=headers)
    missing = [error["loc"] for error in answer.json()["detail"]]
    fields = ("user_id", "merchant_id", "transaction_amount")
    assert (answer.status_code, missing) == (422, [["body", field] for field in fields])


def test_a_body_that_an_upgrade_to_http_2_has_cost_is_explained(shared_api: TestClient) -> None:
    """Java's HttpClient requests h2c by default; uvicorn then drops the body."""
    headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "h2c"}
    answer = shared_api.post("/predict", content=b"", headers=headers)
    assert answer.status_code == 400
    assert "HTTP/1.1" in answer.json()["detail"]
