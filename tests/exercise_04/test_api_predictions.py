"""Inputs of the API's predictions: features as the feature store has them, and named defaults."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import load_model
from exercise_04_serving.production.onnx_model import TOLERANCE, OnnxModel
from feast_plugins.redis_encoding import entity_key, feature_field, time_field
from lab.feature_store import open_store
from lab.settings import settings
from lab.stack.redis import RedisServer
from tests.exercise_04.serving_shop import (
    BOTH,
    MODEL_INPUTS,
    NOBODY,
    REQUEST_TIME,
    STORED,
    Body,
    cache_database,
    payments,
    predict,
    publish_progress,
    running_api,
)
from tests.shop import Shop

PROJECT = "ml_platform_features"
USERS = "user_transaction_features"


@pytest.fixture(params=["solution", "on", "off"], scope="module")
def either_api(shop: Shop, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """The solution; production with a cache, and without."""
    is_production = request.param != "solution"
    changes = {"feature_cache": request.param} if is_production else {}
    with running_api(is_production, **changes) as client:
        yield client


@pytest.fixture(autouse=True)
def current_streaming(shop: Shop) -> None:
    publish_progress()


def predict_batch(api: TestClient, batch: list[Body]) -> list[Body]:
    answer = api.post("/predict/batch", json={"transactions": batch})
    assert answer.status_code == 200, answer.text
    rows: list[Body] = answer.json()["predictions"]
    return rows


def test_the_verdict_is_the_models_on_these_features(either_api: TestClient) -> None:
    model = load_model(settings.model_dir, FeatureReader(open_store(), "fraud_detection"))
    sent = payments(20)
    for payment, answer in zip(sent, predict_batch(either_api, sent), strict=True):
        inputs = {**answer["features"], **payment}
        row = np.array([[inputs[name] for name in MODEL_INPUTS]], dtype=np.float32)
        probability = answer["fraud_probability"]
        assert probability == pytest.approx(float(model.score(row)[0]), abs=TOLERANCE)
        assert answer["is_fraud"] == (probability >= model.metadata.threshold)
        assert payment.items() >= {k: answer[k] for k in ("user_id", "merchant_id")}.items()


# ---- Batches ---------------------------------------------------------------------------------


def without_latency(answer: Body) -> Body:
    return {name: value for name, value in answer.items() if name != "latency_ms"}


def test_a_batch_is_its_singles_in_their_order(either_api: TestClient) -> None:
    batch = [*payments(98), NOBODY, payments(1)[0]]
    batch = batch[::-1]
    singles = [without_latency(predict(either_api, payment)) for payment in batch]
    together = [without_latency(row) for row in predict_batch(either_api, batch)]
    # A matrix product rounds a row by how many it has.
    of_batch, of_singles = (
        [row.pop("fraud_probability") for row in rows] for rows in (together, singles)
    )
    assert of_batch == pytest.approx(of_singles, abs=TOLERANCE)
    assert together == singles


def test_a_batch_is_one_read_of_each_view_and_one_inference(
    shop: Shop, shop_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, rows, score = shop_redis.client(), list[int](), OnnxModel.score

    def counted(model: OnnxModel, matrix: Any) -> Any:
        rows.append(len(matrix))
        return score(model, matrix)

    monkeypatch.setattr(OnnxModel, "score", counted)
    batch = payments(50) * 2
    users, merchants = ({p[key] for p in batch} for key in ("user_id", "merchant_id"))
    with running_api(feature_cache="off") as api:
        client.config_resetstat()
        predict_batch(api, batch)
        reads = client.info("commandstats")["cmdstat_hmget"]["calls"]
    assert reads == 2 * len(users) + len(merchants)  # batch and streaming view of a user
    assert rows == [100]


# ---- What is missing -------------------------------------------------------------------------


def test_unknown_features_are_null_and_named(either_api: TestClient) -> None:
    answer = predict(either_api, NOBODY)
    assert answer["missing"] == [*STORED, *REQUEST_TIME]
    assert {answer["features"][name] for name in answer["missing"]} == {None}
    assert quiet(answer["features"])
    assert 0 <= answer["fraud_probability"] <= 1
    known_user = payments(1)[0] | {"merchant_id": "nowhere"}
    assert predict(either_api, known_user)["missing"] == STORED[3:]


@pytest.fixture
def own_user(shop_redis: RedisServer) -> Iterator[tuple[str, bytes, Any]]:
    """Yield a user whose row a test may spoil."""
    client, known = shop_redis.client(), entity_key(PROJECT, "user_id", payments(1)[0]["user_id"])
    key = entity_key(PROJECT, "user_id", "spoiled")
    client.hset(key, mapping=client.hgetall(known))
    yield "spoiled", key, client
    client.delete(key)


@pytest.mark.parametrize("floor", BOTH)
@pytest.mark.parametrize("reason", ["null", "expired", "infinite"])
def test_a_row_that_cannot_be_used_is_unknown(
    shop: Shop, own_user: tuple[str, bytes, Any], reason: str, floor: str
) -> None:
    from feast.protos.feast.types.Value_pb2 import Value
    from google.protobuf.timestamp_pb2 import Timestamp

    user, key, client = own_user
    field = feature_field(USERS, "avg_transaction_amount")
    contents: dict[str, tuple[bytes, Any]] = {
        "null": (field, Value()),
        "infinite": (field, Value(float_val=float("inf"))),
        "expired": (time_field(USERS), Timestamp(seconds=1_600_000_000)),
    }
    name, content = contents[reason]
    client.hset(key, name, content.SerializeToString())
    spoiled = STORED[:3] if reason == "expired" else ["avg_transaction_amount"]
    cache_database().flushdb()
    with running_api(floor == "production") as api:
        answer = predict(api, payments(1)[0] | {"user_id": user})
    of_mean = REQUEST_TIME if reason == "expired" else REQUEST_TIME[:2]
    assert answer["missing"] == [*spoiled, *of_mean]
    assert {answer["features"][name] for name in answer["missing"]} == {None}


def test_a_quiet_user_has_no_payments_and_nothing_is_missing(either_api: TestClient) -> None:
    answer = predict(either_api, payments(1)[0])
    assert quiet(answer["features"])
    assert answer["missing"] == []


def quiet(features: Body) -> bool:
    """Return True if streaming counts and sums are 0, means and maxima null."""
    streaming = {n: value for n, value in features.items() if n.endswith(("_5m", "_1h"))}
    zero = {name for name, value in streaming.items() if value == 0}
    null = {name for name, value in streaming.items() if value is None}
    return null == {"avg_amount_5m", "max_amount_5m", "avg_amount_1h"} and len(zero) == 4
