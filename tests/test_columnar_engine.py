"""The columnar engine and the as-of store leave in Redis what Feast's own leave, byte for byte."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab.stack.redis import RedisServer, private_redis

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
FEASTS_OWN = {"online_store": {"type": "redis"}, "offline_store": {"type": "duckdb"}}
OURS = {
    "online_store": {"type": "feast_plugins.redis_online_store.VersionedRedisOnlineStore"},
    "offline_store": {"type": "feast_plugins.asof_offline_store.AsofOfflineStore"},
    "batch_engine": {"type": "feast_plugins.columnar_engine.ColumnarEngine"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of every type, with nulls in each; no two of one user at one moment."""
    users = [f"user_{n % 40}" for n in range(400)]
    times = [START + timedelta(hours=3 * n) for n in range(400)]
    columns = {
        "count": pa.array([None if n % 7 == 0 else n * n for n in range(400)], pa.int64()),
        "small": pa.array([None if n % 5 == 0 else -n for n in range(400)], pa.int32()),
        "ratio": pa.array([None if n % 3 == 0 else n / 7 for n in range(400)], pa.float32()),
        "exact": pa.array([None if n % 4 == 0 else n / 3 for n in range(400)], pa.float64()),
        "word": pa.array([None if n % 6 == 0 else f"é{n}" for n in range(400)]),
        "raw": pa.array([None if n % 6 == 1 else bytes([n % 256]) for n in range(400)]),
        "flag": pa.array([None if n % 9 == 0 else n % 2 == 0 for n in range(400)]),
        "list": pa.array([[n, n + 1] for n in range(400)], pa.list_(pa.int64())),
    }
    moments = pa.array(times, pa.timestamp("us", tz="UTC"))
    file = tmp_path_factory.mktemp("data") / "rows.parquet"
    named = {"user_id": pa.array(users), "event_timestamp": moments, "created": moments, **columns}
    pq.write_table(pa.table(named), file)
    return file


def materialized(
    server: RedisServer, table: Path, folder: Path, stores: dict[str, Any]
) -> tuple[dict[bytes, dict[bytes, bytes]], Any]:
    """All of Redis after one materialization into an empty one, and the store that did it."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String

    server.client().flushall()
    online = {**stores["online_store"], "connection_string": f"127.0.0.1:{server.port}"}
    registry = str(folder / f"{online['type']}.db")
    config = {**stores, "online_store": online, "registry": registry, "project": "p"}
    store = FeatureStore(config=RepoConfig(repo_path=folder, provider="local", **config))
    user = Entity(name="user_id", value_type=ValueType.STRING)
    types = [Int64, Int32, Float32, Float64, String, Bytes, Bool, Array(Int64)]
    names = ["count", "small", "ratio", "exact", "word", "raw", "flag", "list"]
    source = FileSource(
        path=str(table), timestamp_field="event_timestamp", created_timestamp_column="created"
    )
    view = FeatureView(
        name="v",
        entities=[user],
        ttl=timedelta(days=90),
        schema=[Field(name=n, dtype=t) for n, t in zip(names, types, strict=True)],
        source=source,
    )
    store.apply([user, view])
    store.materialize(START, END)
    client = server.client()
    return {key: client.hgetall(key) for key in client.scan_iter()}, store


def test_the_same_bytes_as_feasts_own(server: RedisServer, table: Path, tmp_path: Path) -> None:
    theirs, _ = materialized(server, table, tmp_path, FEASTS_OWN)
    ours, _ = materialized(server, table, tmp_path, OURS)
    assert len(theirs) == 40
    assert ours == theirs


def test_the_same_training_rows_as_feasts_own(
    server: RedisServer, table: Path, tmp_path: Path
) -> None:
    asked = pd.DataFrame(
        {
            "user_id": [f"user_{n % 45}" for n in range(300)],
            "event_timestamp": [START + timedelta(hours=5 * n) for n in range(300)],
            "row": range(300),
        }
    )
    features = ["v:count", "v:ratio", "v:exact", "v:word", "v:flag"]
    answers = []
    for stores in (FEASTS_OWN, OURS):
        _, store = materialized(server, table, tmp_path, stores)
        job = store.get_historical_features(asked, features, filter_by_created_timestamp=True)
        answers.append(job.to_df().sort_values("row").reset_index(drop=True))
    pd.testing.assert_frame_equal(*answers, check_dtype=False, check_exact=True)
