"""One small shop, applied once; every test gets it anew, with an empty Redis."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from lab.dataset.simulate import simulate
from lab.settings import settings
from lab.stack.redis import RedisServer, private_redis
from tests.exercise_03.small_shop import AS_OF, PROJECT, Dump


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def lab_places(
    tmp_path_factory: pytest.TempPathFactory, session_redis: RedisServer
) -> dict[str, Any]:
    """Settings that point into one folder and to one Redis; the definitions are applied there."""
    from exercise_01_setup.setup_store import apply_definitions

    folder = tmp_path_factory.mktemp("lab")
    places = {
        "data_dir": folder / "data",
        "build_dir": folder / "build",
        "redis_port": session_redis.port,
    }
    with pytest.MonkeyPatch.context() as patch:
        point_settings(patch, places)
        simulate(
            settings.data_dir, transactions=6_000, seed=7, as_of=AS_OF, history=timedelta(days=120)
        )
        apply_definitions()
    shutil.copytree(folder / "data", folder / "pristine")
    return places


def point_settings(patch: pytest.MonkeyPatch, places: dict[str, Any]) -> None:
    for name, value in places.items():
        patch.setitem(vars(settings), name, value)


@pytest.fixture
def lab(
    lab_places: dict[str, Any], session_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The shop as it was applied, and nothing in Redis; the settings point to it."""
    point_settings(monkeypatch, lab_places)
    folder: Path = settings.data_dir.parent
    shutil.rmtree(folder / "data")
    shutil.copytree(folder / "pristine", folder / "data")
    session_redis.client().flushall()
    return folder


@pytest.fixture
def lab_environment(lab: Path) -> dict[str, str]:
    """What another process needs to work on the same shop."""
    return {
        "LAB_DATA_DIR": str(settings.data_dir),
        "LAB_BUILD_DIR": str(settings.build_dir),
        "LAB_REDIS_PORT": str(settings.redis_port),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def client(lab: Path, session_redis: RedisServer) -> redis.Redis:
    return session_redis.client()


@pytest.fixture
def dump(client: redis.Redis) -> Callable[[], Dump]:
    """Every entity's hash, field by field."""

    def read() -> Dump:
        keys = client.scan_iter(match=f"*{PROJECT}", count=10_000, _type="hash")
        return {key: client.hgetall(key) for key in keys if not key.startswith(b"materialized")}

    return read
