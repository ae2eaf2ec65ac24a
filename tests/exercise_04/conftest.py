"""One small shop with features in Redis and a model, for the serving API."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import redis
from fastapi.testclient import TestClient

from lab.settings import settings, utc_now
from lab.stack.redis import RedisServer
from tests.exercise_04.saved_model import linear_model, save_a_model_of
from tests.exercise_04.serving_shop import (
    BOTH,
    MODEL_INPUTS,
    cache_database,
    cold_start,
    publish_progress,
    running_api,
)
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size


@pytest.fixture(scope="session")
def serving_shop(new_shop: NewShop) -> Shop:
    """Return the shop with features in Redis and a model."""
    from exercise_03_materialize.materialize import initial_materialization

    as_of = utc_now().replace(minute=0, second=0, microsecond=0)
    shop = new_shop(Size(as_of=as_of, history=timedelta(days=60)))
    with settings_in_force(**shop.settings):
        initial_materialization(days_back=30)
        save_a_model(settings.model_dir)
    return shop


@pytest.fixture(scope="session")
def shop_redis(serving_shop: Shop) -> RedisServer:
    return serving_shop.redis


@pytest.fixture(scope="module")
def shop(serving_shop: Shop) -> Iterator[Shop]:
    """Yield the shop; the settings point to it while a file's tests run."""
    client = serving_shop.redis.client()
    with settings_in_force(**serving_shop.settings), undone(client):
        yield serving_shop


@contextmanager
def undone(client: redis.Redis) -> Iterator[None]:
    """Restore Redis to its state before the tests of a file."""
    before = {key: client.dump(key) for key in client.scan_iter()}
    yield
    client.flushdb()
    for key, content in before.items():
        client.restore(key, 0, content)


def save_a_model(folder: Path) -> None:
    """Save a model; any will do, if every input moves it."""
    random = np.random.default_rng(7)
    rows = random.gamma(1.0, 30.0, (500, len(MODEL_INPUTS))).astype(np.float32)
    labels = rows @ random.normal(size=len(MODEL_INPUTS)) > 0
    save_a_model_of(linear_model(rows / 100, labels), MODEL_INPUTS, rows / 100, folder)
    training = pd.DataFrame(rows / 100, columns=MODEL_INPUTS).assign(split="train")
    training.to_parquet(settings.data_dir / "training_data.parquet")


@pytest.fixture(params=BOTH)
def api(shop: Shop, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """Yield the API of the solution and of production, with a cold cache."""
    cache_database().flushdb()
    publish_progress()
    with cold_start(), running_api(request.param == "production") as client:
        yield client


@pytest.fixture(params=BOTH, scope="module")
def shared_api(shop: Shop, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """Yield one API for the tests of a file that depend on no earlier request."""
    publish_progress()
    with cold_start(), running_api(request.param == "production") as client:
        yield client


@pytest.fixture
def production_api(shop: Shop) -> Iterator[TestClient]:
    """Yield the API with all production parts."""
    cache_database().flushdb()
    publish_progress()
    with cold_start(), running_api() as client:
        yield client
