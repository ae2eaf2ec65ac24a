"""Views and rows for the tests of the columnar engine, and the parts of the stores."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import nan
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

BEFORE_1970 = datetime(1969, 12, 30, 23, 59, 58, 500_000, tzinfo=UTC)
LONG = "é" * 300  # longer than a length of one byte
WHOLE = "whole"  # has no nulls: Feast's own engine makes floats of integers next to nulls
TYPES: dict[str, tuple[FeastType, pa.DataType, list[Any]]] = {
    "count": (Int64, pa.int64(), [0, -1, 127, 128, 2**53, -(2**53)]),
    WHOLE: (Int64, pa.int64(), [2**63 - 1, -(2**63)]),
    "small": (Int32, pa.int32(), [0, -1, 2**31 - 1, -(2**31)]),
    "ratio": (Float32, pa.float32(), [0.0, 1 / 7, -1e38]),
    "exact": (Float64, pa.float64(), [-0.0, 1 / 3, 5e-324, nan]),
    "word": (String, pa.string(), ["", "é", LONG]),
    "raw": (Bytes, pa.binary(), [b"\xff\0", bytes(300)]),
    "flag": (Bool, pa.bool_(), [True, False]),
    "moment": (UnixTimestamp, MICROSECONDS, [START, BEFORE_1970, START + 60_000 * DAY]),
    "counts": (Array(Int64), pa.list_(pa.int64()), [[], [0], [-1, 2**63 - 1]]),
    "smalls": (Array(Int32), pa.list_(pa.int32()), [[], [-(2**31), 128]]),
    "ratios": (Array(Float32), pa.list_(pa.float32()), [[], [1 / 7]]),
    "exacts": (Array(Float64), pa.list_(pa.float64()), [[], [-0.0, 1 / 3]]),
    "words": (Array(String), pa.list_(pa.string()), [[], ["", LONG]]),
    "raws": (Array(Bytes), pa.list_(pa.binary()), [[], [b"", b"\xff\0"]]),
    "flags": (Array(Bool), pa.list_(pa.bool_()), [[], [False, True]]),
    "moments": (Array(UnixTimestamp), pa.list_(MICROSECONDS), [[START], [BEFORE_1970, START]]),
}


def row(user: str, happened: float, value: float, created: float | None = None) -> Row:
    """Return a row by its hours; without `created` it is created when it happens."""
    arrived = happened if created is None else created
    times = {"event_timestamp": at(happened), "created": at(arrived)}
    return {"user_id": user, **times, "value": value}


def view_of(file: Path) -> FeatureView:
    return feature_view("v", source(file), ttl=90 * DAY)


def write_every_type(file: Path) -> FeatureView:
    """Write 400 rows of 40 users, with nulls; no user has two rows of one time."""
    numbers = range(400)
    columns = {
        name: pa.array(
            [None if n % 7 == 0 and name != WHOLE else of[n % len(of)] for n in numbers], arrow
        )
        for name, (_, arrow, of) in TYPES.items()
    }
    times = pa.array([START + 3 * HOUR * n for n in numbers], MICROSECONDS)
    users = pa.array([f"user_{n % 40}" for n in numbers])
    table = pa.table({"user_id": users, "event_timestamp": times, "created": times, **columns})
    pq.write_table(table, file)
    features = {name: dtype for name, (dtype, _, _) in TYPES.items()}
    return feature_view("v", source(file), features=features, ttl=90 * DAY)
