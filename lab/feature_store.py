"""Opens the shared Feast repository from any folder, with the ports and paths of the settings."""

import io
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import redis
import yaml

from lab.errors import UserError
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


def effective_config() -> dict[str, Any]:
    """feature_store.yaml with absolute paths, the settings' Redis, and the chosen stores."""
    file = settings.feature_repo / "feature_store.yaml"
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    config["registry"]["path"] = f"sqlite:///{settings.data_dir / REGISTRY}"
    config["online_store"]["connection_string"] = settings.redis_address
    return with_feasts_own_stores(config) if settings.stores == "feast" else config


def with_feasts_own_stores(config: dict[str, Any]) -> dict[str, Any]:
    """The same without a plug-in."""
    own = {name: part for name, part in config.items() if name != "batch_engine"}
    online = {**config["online_store"], "type": "redis"}
    return {**own, "offline_store": {"type": "duckdb"}, "online_store": online}


def feast(*arguments: str) -> None:
    """Run Feast's command line on the shared repository."""
    from feast.cli.cli import cli

    silence_known_warnings()
    sys.modules.pop("features", None)  # or a second time they would be those of other settings
    file = settings.build_dir / "feature_store.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(effective_config()))
    command = ["--chdir", str(settings.feature_repo), "--feature-store-yaml", str(file), *arguments]
    cli.main(command, standalone_mode=False)


def open_store() -> "FeatureStore":
    """The feature store; UserError when nothing has been applied yet."""
    from feast import FeatureStore, RepoConfig

    silence_known_warnings()
    if not (settings.data_dir / REGISTRY).exists():
        raise UserError(f"no registry in {settings.data_dir}: nothing is applied", "lab run 1")
    return FeatureStore(config=RepoConfig(repo_path=settings.feature_repo, **effective_config()))


@dataclass(frozen=True)
class ServiceDefinition:
    """A feature service as the registry has it.

    `views` has the features of each view, on-demand views too, in the service's order, with their
    types.
    """

    name: str
    version: str
    views: Mapping[str, Mapping[str, str]]

    @property
    def types(self) -> dict[str, str]:
        """Type of each feature, in the service's order."""
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


def silence_known_warnings() -> None:
    """Feast calls on-demand views experimental, and ibis warns of its own future at every query."""
    warnings.filterwarnings("ignore", message="On demand feature view is an experimental")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="ibis")


def connect_redis(db: int = 0) -> redis.Redis:
    """A client of the settings' Redis that answers; UserError when none does."""
    client = redis.Redis(settings.host, settings.redis_port, db=db, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        address = settings.redis_address
        raise UserError(f"Redis does not answer at {address}: {error}", "lab up redis") from error
    return client


def with_declared_types(frame: pd.DataFrame, store: "FeatureStore") -> pd.DataFrame:
    """Every feature in the type that its view declares.

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
def feast_says_nothing() -> Iterator[None]:
    """Keep Feast's banners from the output: the scripts say themselves what they do."""
    with redirect_stdout(io.StringIO()):
        yield


@contextmanager
def out_of_memory_is_loud() -> Iterator[None]:
    """Turn Redis's refusal to take more into a sentence that says what to do."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        memory: Any = connect_redis().info("memory")
        limit = memory["maxmemory_human"]
        raise UserError(
            f"Redis refused to write: its memory limit of {limit} is reached",
            "LAB_REDIS_MAXMEMORY=4gb lab up redis, after lab down",
        ) from error
