"""A small Feast repository for the tests of the as-of store, on any of three offline stores."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float32, Int64, String

OURS = "feast_plugins.asof_offline_store.AsofOfflineStore"
DUCKDB, FILE = "duckdb", "file"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MICROSECONDS = pa.timestamp("us", "UTC")
TYPES = {"value": Int64, "ratio": Float32, "word": String}
USER = Entity(name="user_id", value_type=ValueType.STRING)
MERCHANT = Entity(name="merchant_id", value_type=ValueType.STRING)

Row = dict[str, Any]


def at(hours: float) -> datetime:
    return START + hours * HOUR


def source(path: Path | str, created: str = "created", **options: Any) -> FileSource:
    options = {"timestamp_field": "event_timestamp", **options}
    return FileSource(path=str(path), created_timestamp_column=created, **options)


def feature_view(name: str, of: FileSource, *entities: Entity, **options: Any) -> FeatureView:
    """Return a view of `value` by user with a TTL of ten days, unless the options differ."""
    options = {"features": {"value": Int64}, "ttl": 10 * DAY, **options}
    features = options.pop("features")
    return FeatureView(
        name=name,
        entities=list(entities or [USER]),
        schema=[Field(name=feature, dtype=kind) for feature, kind in features.items()],
        source=of,
        **options,
    )


def write_rows(path: Path, rows: list[Row], **types: pa.DataType) -> Path:
    """Write rows as Parquet; all have the keys of the first. Times are UTC microseconds."""
    times = {"event_timestamp": MICROSECONDS, "created": MICROSECONDS}
    types = (
        {"user_id": pa.string(), "merchant_id": pa.string(), "value": pa.int64()} | times | types
    )
    columns = {
        name: pa.array([row[name] for row in rows]).cast(types[name])
        if name in types and pa.types.is_timestamp(types[name])
        else pa.array([row[name] for row in rows], types.get(name))
        for name in rows[0]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def open_store(
    folder: Path, *objects: Any, offline: str = OURS, pull_latest: bool = False, **options: Any
) -> FeatureStore:
    """Return a store with `objects` applied; its registry and its SQLite are files in `folder`."""
    name = offline.rsplit(".", 1)[-1]
    config = RepoConfig(
        project="p",
        provider="local",
        repo_path=folder,
        registry=str(folder / f"{name}.db"),
        online_store={"type": "sqlite", "path": str(folder / f"{name}.sqlite")},
        offline_store={"type": offline, **options},
        materialization={"pull_latest_features": pull_latest},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply([USER, MERCHANT, *objects])
    return store


ROWS: list[Row] = [
    {"user_id": "a", "event_timestamp": at(1), "created": at(1), "value": 1},
    {"user_id": "a", "event_timestamp": at(3), "created": at(3), "value": 3},
    {"user_id": "b", "event_timestamp": at(2), "created": at(2), "value": 20},
]


def entities(*rows: tuple[Any, float | None], **columns: Any) -> pd.DataFrame:
    users, hours = zip(*rows, strict=True)
    moments = pd.DatetimeIndex([None if hour is None else at(hour) for hour in hours])
    return pd.DataFrame({"user_id": users, "event_timestamp": moments, **columns})


def values(store: FeatureStore, rows: Any, **options: Any) -> list[Any]:
    """Return the values of view v, missing ones as None."""
    found = store.get_historical_features(rows, ["v:value"], **options).to_arrow()
    return list(found["value"].to_pylist())


def online(store: FeatureStore, *users: str) -> list[Any]:
    """Return the online values of view v."""
    rows = [{"user_id": user} for user in users]
    return list(store.get_online_features(["v:value"], rows).to_dict()["value"])
