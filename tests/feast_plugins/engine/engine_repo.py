"""Views and rows for the tests of the columnar engine, and the parts of the stores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, ValueType
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

from tests.feast_plugins.asof_repo import (
    DAY,
    HOUR,
    MICROSECONDS,
    OURS,
    START,
    Row,
    at,
    feature_view,
    source,
)

END = START + 60 * DAY
FEASTS_OWN = {"online_store": {"type": "redis"}, "offline_store": {"type": "duckdb"}}
ENGINE = {
    "online_store": {"type": "feast_plugins.redis_online_store.VersionedRedisOnlineStore"},
    "offline_store": {"type": OURS},
    "batch_engine": {"type": "feast_plugins.columnar_engine.ColumnarEngine"},
}
SHOP = Entity(name="shop_id", value_type=ValueType.INT64)

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
    "moment": (UnixTimestamp, MICROSECONDS, lambda n: START + n * HOUR),
    "counts": (Array(Int64), pa.list_(pa.int64()), lambda n: [n, n + 1]),
    "words": (Array(String), pa.list_(pa.string()), lambda n: [f"a{n}", "ö"]),
    "ratios": (Array(Float32), pa.list_(pa.float32()), lambda n: [n / 7]),
    "flags": (Array(Bool), pa.list_(pa.bool_()), lambda n: [n % 2 == 0, True]),
}


def row(user: str, happened: float, value: float, created: float | None = None) -> Row:
    """Return a row by its hours; without `created` it is created when it happens."""
    arrived = happened if created is None else created
    times = {"event_timestamp": at(happened), "created": at(arrived)}
    return {"user_id": user, **times, "value": value}


def view_of(file: Path) -> FeatureView:
    return feature_view("v", source(file), ttl=90 * DAY)


def write_every_type(file: Path) -> FeatureView:
    """Write 400 rows of 40 users, with nulls in every column; no user has two rows of one time."""
    numbers = range(400)
    columns = {
        name: pa.array([None if n % (5 + i) == 0 else make(n) for n in numbers], arrow)
        for i, (name, (_, arrow, make)) in enumerate(TYPES.items())
    }
    times = pa.array([START + 3 * HOUR * n for n in numbers], MICROSECONDS)
    users = pa.array([f"user_{n % 40}" for n in numbers])
    table = pa.table({"user_id": users, "event_timestamp": times, "created": times, **columns})
    pq.write_table(table, file)
    features = {name: dtype for name, (dtype, _, _) in TYPES.items()}
    return feature_view("v", source(file), features=features, ttl=90 * DAY)
