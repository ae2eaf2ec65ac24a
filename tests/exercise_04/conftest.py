"""One small shop with features in Redis and a model, for the serving API."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from fastapi.testclient import TestClient
from sklearn.linear_model import LogisticRegression

from exercise_04_serving.model_file import save_model
from lab.settings import settings, utc_now
from lab.stack.redis import RedisServer, private_redis
from tests.exercise_04.serving_shop import MODEL_INPUTS, cache_database, running_api


@pytest.fixture(scope="session")
def shop_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def shop_places(
    tmp_path_factory: pytest.TempPathFactory, shop_redis: RedisServer
) -> dict[str, Any]:
    """Settings that point to data, a registry, features in Redis and a model."""
    from exercise_01_setup.setup_store import apply_definitions
    from exercise_03_materialize.materialize import initial_materialization
    from lab.dataset.simulate import simulate

    folder = tmp_path_factory.mktemp("shop")
    places = {
        "data_dir": folder / "data",
        "build_dir": folder / "build",
        "model_dir": folder / "models",
        "redis_port": shop_redis.port,
    }
    with pointed(places):
        as_of = utc_now().replace(minute=0, second=0, microsecond=0)
        simulate(
            settings.data_dir,
            transactions=6_000,
            seed=7,
            as_of=as_of,
            history=timedelta(days=60),
        )
        apply_definitions()
        initial_materialization(days_back=30)
        save_a_model(settings.model_dir)
    return places


@contextmanager
def pointed(places: dict[str, Any]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in places.items():
            patch.setitem(vars(settings), name, value)
        yield


@pytest.fixture(scope="module")
def shop(shop_places: dict[str, Any], shop_redis: RedisServer) -> Iterator[Path]:
    """The shop's folder; the settings point to it for as long as a file's tests run."""
    with pointed(shop_places), undone(shop_redis.client()):
        yield settings.data_dir.parent


@contextmanager
def undone(client: redis.Redis) -> Iterator[None]:
    """What the tests of a file write into Redis is gone for the next file's."""
    before = {key: client.dump(key) for key in client.scan_iter()}
    yield
    client.flushdb()
    for key, content in before.items():
        client.restore(key, 0, content)


def save_a_model(folder: Path) -> None:
    """Any model will do, if every input moves it."""
    random = np.random.default_rng(7)
    rows = random.gamma(1.0, 30.0, (500, len(MODEL_INPUTS))).astype(np.float32)
    labels = rows @ random.normal(size=len(MODEL_INPUTS)) > 0
    model = LogisticRegression(max_iter=1_000).fit(rows / 100, labels)
    save_model(folder, model, MODEL_INPUTS, threshold=0.5, metrics={}, proof=rows / 100)


@pytest.fixture
def api(shop: Path) -> Iterator[TestClient]:
    """The API with an empty cache."""
    cache_database().flushdb()
    with running_api() as client:
        yield client
