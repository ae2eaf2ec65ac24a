"""Open the shared Feast repository from any folder, with the ports and paths of the settings."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import redis

from lab import learn
from lab.errors import UserError
from lab.learn import silence_known_warnings as silence_known_warnings
from lab.settings import settings

if TYPE_CHECKING:
    from feast import FeatureStore


def effective_config(stores: str | None = None) -> dict[str, Any]:
    """Return feature_store.yaml with this machine's paths and ports, and the chosen stores."""
    return learn.store_config(stores)


def open_store(stores: str | None = None) -> "FeatureStore":
    """Return the feature store without limits on Redis's time; `stores` overrides LAB_STORES."""
    return learn.open_store(stores, redis_timeout_s=None)


def connect_redis(db: int = 0) -> redis.Redis:
    """Return a client of the settings' Redis; UserError when Redis does not answer."""
    client = redis.Redis(settings.host, settings.redis_port, db=db, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        address = settings.redis_address
        raise UserError(f"Redis does not answer at {address}: {error}", "lab up redis") from error
    return client


@contextmanager
def quiet_feast() -> Iterator[None]:
    """Keep Feast's banners from the output: the scripts print their own messages."""
    with redirect_stdout(io.StringIO()):
        yield
