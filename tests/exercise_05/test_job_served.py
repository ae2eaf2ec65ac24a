"""End to end: exercise 4's API soon returns an event's values, whatever it has cached."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from lab.settings import settings, utc_now
from tests.exercise_04.saved_model import linear_model, save_a_model_of
from tests.exercise_05.payments import payment, record
from tests.exercise_05.pipeline import JOB, SOLUTION, Job, NewPipeline, Pipeline
from tests.settings_in_force import settings_in_force
from tests.shop import SimulatedData, Size, open_shop
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

FEATURE = "transaction_count_1h"  # another five minutes may begin meanwhile
MERCHANT = "merchant_0"
INPUTS = ["transaction_count_7d", "transaction_amount"]


production = pytest.param(JOB, marks=pytest.mark.drills, id="production")


@pytest.fixture(scope="module", params=[pytest.param(SOLUTION, id="solution"), production])
def pipeline(new_pipeline: NewPipeline, request: pytest.FixtureRequest) -> Pipeline:
    pipeline = new_pipeline()
    pipeline.command = request.param
    return pipeline


@pytest.fixture(scope="module")
def api(
    pipeline: Pipeline,
    simulated_data: SimulatedData,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TestClient]:
    """Yield the API on the pipeline's Redis, with an arbitrary model."""
    from exercise_04_serving.app.main import create_app

    data = simulated_data(Size(2_000, as_of=utc_now(), history=timedelta(days=40)))
    shop = open_shop(tmp_path_factory.mktemp("shop"), pipeline.redis, data)
    with settings_in_force(**shop.settings):
        save_some_model()
        with TestClient(create_app()) as client:
            yield client


def save_some_model() -> None:
    rows = np.random.default_rng(7).random((100, len(INPUTS))).astype(np.float32)
    save_a_model_of(linear_model(rows, rows[:, 1] > 0.5), INPUTS, rows, settings.model_dir)


@pytest.fixture(scope="module")
def job(pipeline: Pipeline, api: TestClient) -> Iterator[Job]:
    """Yield a job that runs: the API has a value of an event."""
    with pipeline.job() as job:
        job.wait_until_running()
        pay(pipeline, "canary")
        eventually(lambda: count_of(api, "canary") == 1)
        yield job


def pay(pipeline: Pipeline, user: str) -> None:
    now = utc_now()
    pipeline.send([record(payment(user, now), now)])


def count_of(api: TestClient, user: str) -> Any:
    """Return the count among the features of /predict."""
    request = {"user_id": user, "merchant_id": MERCHANT, "transaction_amount": 12.0}
    return api.post("/predict", json=request).json()["features"][FEATURE]


def is_counted(api: TestClient, user: str, count: int | None) -> bool:
    return count_of(api, user) == count


def misses(api: TestClient) -> int:
    return int(api.get("/stats").json()["cache_misses"])


def test_an_event_is_served_with_a_warm_cache(
    job: Job, pipeline: Pipeline, api: TestClient
) -> None:
    for _ in range(2):
        assert count_of(api, "payer") == 0
    missed = misses(api)
    for number in (1, 2):
        pay(pipeline, "payer")
        eventually(partial(is_counted, api, "payer", number))
    assert misses(api) == missed


def test_without_the_job_a_count_is_unknown_and_not_zero(
    job: Job, pipeline: Pipeline, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This test is the last of the file: it kills Flink."""
    pay(pipeline, "regular")
    eventually(partial(is_counted, api, "regular", 1))
    assert count_of(api, "quiet") == 0
    with monkeypatch.context() as changed:
        changed.setattr("exercise_04_serving.app.features.MAX_PROGRESS_AGE_S", 8)
        job.jvm().kill()
        assert job.wait() == 2, "the writer ends with Flink"
        pay(pipeline, "regular")
        eventually(partial(is_counted, api, "regular", None))
        assert count_of(api, "quiet") is None
        assert api.get("/health").json()["status"] == "degraded"
    with pipeline.job():
        eventually(partial(is_counted, api, "regular", 2))
        assert count_of(api, "quiet") == 0
