"""The monitored shop: every test finds its data as they were applied."""

import shutil
from pathlib import Path

import pytest

from lab.stack.redis import RedisServer
from tests.exercise_06.monitored_shop import SIZE
from tests.settings_in_force import PointSettings
from tests.shop import NewShop, SimulatedData


@pytest.fixture(scope="session")
def simulated(simulated_data: SimulatedData) -> Path:
    """Return the data of 120 days without any drift, not to be changed."""
    return simulated_data(SIZE)


@pytest.fixture
def copy(simulated: Path, tmp_path: Path) -> Path:
    """Return a copy of the data, to be changed."""
    return Path(shutil.copytree(simulated, tmp_path / "data"))


@pytest.fixture
def shop(new_shop: NewShop, point_settings: PointSettings) -> Path:
    """Return the folder of the shop's data, as they were applied; the settings point to it."""
    shop = new_shop(SIZE)
    shop.restore()
    point_settings(**shop.settings)
    return shop.data


@pytest.fixture
def shop_redis(new_shop: NewShop) -> RedisServer:
    return new_shop(SIZE).redis
