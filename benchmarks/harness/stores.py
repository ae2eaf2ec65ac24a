"""Feature stores over the same data: this project's plug-ins, and Feast's own."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import FeastType, Float32, Float64, Int64, String

from benchmarks.harness.workload import DAY, START, TTL, Snapshots
from lab.feature_store import silence_known_warnings
from lab.stack.redis import RedisServer

# Longer than the views' TTL, as it must be.
KEY_TTL_SECONDS = int((TTL + 30 * DAY).total_seconds())
CACHE_SECONDS = 24 * 3_600
TYPES: dict[str, FeastType] = {
    "payments_7d": Int64,
    "amount_7d": Float32,
    "mean_amount_30d": Float64,
    "merchants_30d": Int64,
    "category": String,
    "fraud_rate_30d": Float64,
}


@dataclass(frozen=True)
class Stores:
    """A set of stores by its name, with the options of each."""

    name: str
    offline: str
    online: str
    engine: str
    online_options: dict[str, Any] = field(default_factory=dict)
    materialization: dict[str, Any] = field(default_factory=dict)


OURS = Stores(
    name="feast_plugins",
    offline="feast_plugins.asof_offline_store.AsofOfflineStore",
    online="feast_plugins.redis_online_store.VersionedRedisOnlineStore",
    engine="feast_plugins.columnar_engine.ColumnarEngine",
)
FEASTS = Stores(name="feast", offline="duckdb", online="redis", engine="local")


def open_store(
    stores: Stores, tables: Sequence[Snapshots], folder: Path, server: RedisServer | None = None
) -> FeatureStore:
    """Open a feature store with a view of each table; without a server nothing is online."""
    silence_known_warnings()
    online = {
        "type": stores.online,
        "connection_string": server.address if server else "",
        "key_ttl_seconds": KEY_TTL_SECONDS,
        **stores.online_options,
    }
    config = RepoConfig(
        project="bench",
        provider="local",
        repo_path=folder,
        registry={"path": str(folder / f"{stores.name}.db"), "cache_ttl_seconds": CACHE_SECONDS},
        offline_store={"type": stores.offline},
        online_store=online if server else None,
        batch_engine={"type": stores.engine},
        materialization=stores.materialization,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    with redirect_stdout(StringIO()):
        store.apply([thing for table in tables for thing in definitions(table)])
    return store


def definitions(table: Snapshots) -> tuple[Entity, FeatureView]:
    """Return the entity and the view of a table."""
    entity = Entity(name=table.entity, join_keys=[table.key], value_type=ValueType.STRING)
    fields = {name: TYPES[name.removeprefix(f"{table.entity}_")] for name in table.features}
    view = FeatureView(
        name=view_of(table),
        entities=[entity],
        ttl=TTL,
        schema=[
            Field(name=table.key, dtype=String),
            *(Field(name=name, dtype=kind) for name, kind in fields.items()),
        ],
        source=FileSource(
            path=str(table.file),
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
        ),
    )
    return entity, view


def view_of(table: Snapshots) -> str:
    """Return the name of a table's view."""
    return f"{table.entity}_snapshots"


def references(tables: Sequence[Snapshots]) -> list[str]:
    """Return every feature of the tables, as Feast names them."""
    return [f"{view_of(table)}:{name}" for table in tables for name in table.features]


def materialize(store: FeatureStore, table: Snapshots) -> None:
    """Write the newest row of each key online, through Feast's public function."""
    days = table.rows // table.keys + 2
    with redirect_stdout(StringIO()):
        store.materialize(START, START + days * DAY, feature_views=[view_of(table)])
