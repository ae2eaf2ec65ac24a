"""Small views over Parquet files, and the stores that they are materialized with."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import (
    Array,
    Bool,
    Bytes,
    FeastType,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ONLINE = "feast_plugins.redis_online_store.VersionedRedisOnlineStore"
FEASTS_OWN = {"online_store": {"type": "redis"}, "offline_store": {"type": "duckdb"}}
OURS = {
    "online_store": {"type": ONLINE},
    "offline_store": {"type": "feast_plugins.asof_offline_store.AsofOfflineStore"},
    "batch_engine": {"type": "feast_plugins.columnar_engine.ColumnarEngine"},
}
USER = Entity(name="user_id", value_type=ValueType.STRING)
SHOP = Entity(name="shop_id", value_type=ValueType.INT64)
UTC_US = pa.timestamp("us", tz="UTC")

Dump = dict[bytes, dict[bytes, bytes]]
OpenStore = Callable[..., FeatureStore]

TYPES: dict[str, tuple[FeastType, pa.DataType, Callable[[int], Any]]] = {
    "count": (Int64, pa.int64(), lambda n: n * n - 500),
    "small": (Int32, pa.int32(), lambda n: -n),
    "ratio": (Float32, pa.float32(), lambda n: n / 7),
    "exact": (Float64, pa.float64(), lambda n: n / 3),
    "word": (String, pa.string(), lambda n: f"é{n}"),
    "raw": (Bytes, pa.binary(), lambda n: bytes([n % 256])),
    "flag": (Bool, pa.bool_(), lambda n: n % 2 == 0),
    "moment": (UnixTimestamp, UTC_US, lambda n: START + n * HOUR),
    "counts": (Array(Int64), pa.list_(pa.int64()), lambda n: [n, n + 1]),
    "words": (Array(String), pa.list_(pa.string()), lambda n: [f"a{n}", "ö"]),
    "ratios": (Array(Float32), pa.list_(pa.float32()), lambda n: [n / 7]),
    "flags": (Array(Bool), pa.list_(pa.bool_()), lambda n: [n % 2 == 0, True]),
}


def view_of(file: Path, name: str = "v", **features: FeastType) -> FeatureView:
    """A view of users over a file with the usual columns."""
    source = FileSource(
        path=str(file), timestamp_field="event_timestamp", created_timestamp_column="created"
    )
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in features.items()]
    return FeatureView(name=name, entities=[USER], ttl=90 * DAY, schema=schema, source=source)


def simple_rows(**changes: Any) -> dict[str, Any]:
    """Two users; the second has two rows, of which the later is the newer."""
    rows = {
        "user_id": ["a", "b", "b"],
        "event_timestamp": pa.array([START, START, START + DAY], UTC_US),
        "created": pa.array([START, START, START + DAY], UTC_US),
        "count": pa.array([1, 2, 3], pa.int64()),
    }
    return {name: column for name, column in (rows | changes).items() if column is not None}


def write_rows(file: Path, *rows: tuple[str, datetime, datetime, int]) -> None:
    """Rows of a user, when it happened, when it was created, and a count."""
    names = ["user_id", "event_timestamp", "created", "count"]
    kinds = [pa.string(), UTC_US, UTC_US, pa.int64()]
    columns = zip(zip(*rows, strict=True), kinds, strict=True)
    pq.write_table(pa.table([pa.array(c, kind) for c, kind in columns], names=names), file)


def write_every_type(file: Path) -> FeatureView:
    """400 rows of 40 users, with nulls in every column, and no two of one user at one moment."""
    numbers = range(400)
    columns = {
        name: pa.array([None if n % (5 + i) == 0 else make(n) for n in numbers], arrow)
        for i, (name, (_, arrow, make)) in enumerate(TYPES.items())
    }
    times = pa.array([START + 3 * HOUR * n for n in numbers], UTC_US)
    users = pa.array([f"user_{n % 40}" for n in numbers])
    table = pa.table({"user_id": users, "event_timestamp": times, "created": times, **columns})
    pq.write_table(table, file)
    return view_of(file, **{name: dtype for name, (dtype, _, _) in TYPES.items()})


def online(store: FeatureStore, users: str = "ab", feature: str = "v:count") -> list[object]:
    answer = store.get_online_features([feature], {"user_id": list(users)})
    return answer.to_dict()[feature.split(":")[1]]
