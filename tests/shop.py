"""A small shop: simulated data, the feature repository's definitions applied, a Redis."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.dataset.simulate import simulate
from lab.stack.redis import RedisServer
from tests.settings_in_force import settings_in_force

AS_OF = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
PROJECT = "ml_platform_features"


@dataclass(frozen=True)
class Size:
    """Arguments of the simulator."""

    transactions: int = 6_000
    as_of: datetime = AS_OF
    history: timedelta = timedelta(days=120)
    seed: int = 7


@dataclass(frozen=True)
class Shop:
    """One folder and one Redis; `settings` point to them."""

    folder: Path
    redis: RedisServer

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "data_dir": self.data,
            "build_dir": self.folder / "build",
            "model_dir": self.folder / "models",
            "redis_port": self.redis.port,
        }

    def restore(self) -> None:
        """Bring the data and the registry back as they were applied, and empty Redis."""
        shutil.rmtree(self.data)
        shutil.copytree(self.folder / "applied", self.data)
        self.redis.client().flushall()


SimulatedData = Callable[[Size], Path]
NewShop = Callable[[Size], Shop]


def simulated(folder: Path, size: Size) -> Path:
    """Simulate data in a folder."""
    simulate(folder, **asdict(size))
    return folder


def open_shop(folder: Path, redis: RedisServer, data: Path) -> Shop:
    """Apply the definitions to a copy of the data."""
    from exercise_01_setup.setup_store import apply_definitions

    shop = Shop(folder, redis)
    shutil.copytree(data, shop.data)
    with settings_in_force(**shop.settings):
        apply_definitions()
    shutil.copytree(shop.data, folder / "applied")
    return shop
