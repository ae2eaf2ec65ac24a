"""Open the shared Feast repository from any folder, with the ports and paths of the settings."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import redis

from lab import learn
from lab.errors import UserError
from lab.learn import silence_known_warnings as silence_known_warnings
from lab.settings import settings

if TYPE_CHECKING:
    from feast import FeatureStore

# Exercise 3 materializes these; the streaming view is written by exercise 5.
MATERIALIZED_VIEWS = (
    "user_transaction_features",
    "merchant_risk_features",
    "product_popularity_features",
    "user_preference_features",
)
REGISTRY = "registry.db"
DTYPES = {"Int64": "Int64", "Float32": "float32", "Float64": "float64"}


def effective_config(stores: str | None = None) -> dict[str, Any]:
    """Return feature_store.yaml with this machine's paths and ports, and the chosen stores."""
    return learn.store_config(stores)


def open_store(stores: str | None = None) -> "FeatureStore":
    """Return the feature store without limits on Redis's time; `stores` overrides LAB_STORES."""
    return learn.open_store(stores, redis_timeout_s=None)


@dataclass(frozen=True)
class ServiceDefinition:
    """A feature service as the registry defines it.

    `views` has the features of each view, on-demand views too, in the service's order, with their
    types.
    """

    name: str
    version: str
    views: Mapping[str, Mapping[str, str]]

    @property
    def types(self) -> dict[str, str]:
        """Return the type of each feature, in the service's order."""
        return {name: kind for view in self.views.values() for name, kind in view.items()}


def service_definition(store: "FeatureStore", name: str) -> ServiceDefinition:
    """Return a feature service's definition; UserError when the registry has no such service."""
    from feast.errors import FeatureServiceNotFoundException

    try:
        service = store.get_feature_service(name)
    except FeatureServiceNotFoundException as error:
        raise UserError(f"the registry has no feature service {name}", "lab run 1") from error
    views = {
        view.name_to_use(): {field.name: str(field.dtype) for field in view.features}
        for view in service.feature_view_projections
    }
    return ServiceDefinition(name, service.tags.get("version", ""), views)


def connect_redis(db: int = 0) -> redis.Redis:
    """Return a client of the settings' Redis; UserError when Redis does not answer."""
    client = redis.Redis(settings.host, settings.redis_port, db=db, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        address = settings.redis_address
        raise UserError(f"Redis does not answer at {address}: {error}", "lab up redis") from error
    return client


def with_declared_types(frame: pd.DataFrame, store: "FeatureStore") -> pd.DataFrame:
    """Return every feature in the type that its view declares.

    Feast's offline stores give a nullable Int64 as float64; here it stays an integer, and is a
    plain int64 where nothing is null.
    """
    views = [*store.list_feature_views(), *store.list_on_demand_feature_views()]
    declared = {field.name: str(field.dtype) for view in views for field in view.features}
    types = {
        name: DTYPES[kind] for name, kind in declared.items() if name in frame and kind in DTYPES
    }
    typed = frame.astype(types)
    whole = [
        name for name, kind in types.items() if kind == "Int64" and not typed[name].isna().any()
    ]
    return typed.astype(dict.fromkeys(whole, "int64"))


@contextmanager
def quiet_feast() -> Iterator[None]:
    """Keep Feast's banners from the output: the scripts print their own messages."""
    with redirect_stdout(io.StringIO()):
        yield
