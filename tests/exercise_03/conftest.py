"""The small shop: every test finds it as it was applied, with an empty Redis."""

from collections.abc import Callable

import pytest
import redis

from tests.exercise_03.shop_tables import Dump
from tests.settings_in_force import PointSettings
from tests.shop import PROJECT, NewShop, Shop, Size


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> str:
    """Use the plug-ins; a test marked `on_both_stores` runs on Feast's own, too."""
    return str(getattr(request, "param", "plugins"))


@pytest.fixture
def shop(new_shop: NewShop, point_settings: PointSettings, stores: str) -> Shop:
    """Return the shop as it was applied, with an empty Redis; the settings point to it."""
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings, stores=stores)
    return shop


@pytest.fixture
def client(shop: Shop) -> redis.Redis:
    return shop.redis.client()


@pytest.fixture
def dump(client: redis.Redis) -> Callable[[], Dump]:
    """Return every entity's hash, field by field."""

    def read() -> Dump:
        keys = client.scan_iter(match=f"*{PROJECT}", count=10_000, _type="hash")
        return {key: client.hgetall(key) for key in keys if not key.startswith(b"materialized")}

    return read
