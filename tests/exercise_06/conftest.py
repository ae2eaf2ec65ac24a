"""One simulated shop with its definitions applied; every test gets its data anew."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.dataset.simulate import simulate
from lab.settings import settings
from lab.stack.redis import RedisServer, private_redis
from tests.exercise_06.monitored_shop import AS_OF, TRANSACTIONS


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of 120 days without any drift: not to be changed."""
    folder = tmp_path_factory.mktemp("simulated") / "data"
    simulate(folder, transactions=TRANSACTIONS, seed=7, as_of=AS_OF, history=timedelta(days=120))
    return folder


@pytest.fixture
def copy(simulated: Path, tmp_path: Path) -> Path:
    """A copy of the data, to be changed."""
    return Path(shutil.copytree(simulated, tmp_path / "data"))


@pytest.fixture(scope="session")
def shop_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def applied(
    simulated: Path, shop_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Settings that point to a copy of the data and a registry in which all is applied."""
    from exercise_01_setup.setup_store import apply_definitions

    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(simulated, folder / "data")
    places = {
        "data_dir": folder / "data",
        "build_dir": folder / "build",
        "redis_port": shop_redis.port,
    }
    with pytest.MonkeyPatch.context() as patch:
        point_settings(patch, places)
        apply_definitions()
    shutil.copytree(folder / "data", folder / "pristine")
    return places


@pytest.fixture
def shop(applied: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the shop's data, as they were applied; the settings point to it."""
    point_settings(monkeypatch, applied)
    data: Path = settings.data_dir
    shutil.rmtree(data)
    shutil.copytree(data.with_name("pristine"), data)
    return data


def point_settings(patch: pytest.MonkeyPatch, places: dict[str, Any]) -> None:
    for name, value in places.items():
        patch.setitem(vars(settings), name, value)
