"""Runs that are killed, refused or out of memory, and stores that the engine does not know."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from feast import FeatureStore, RepoConfig
from feast.types import Int64

from feast_plugins.feature_source import SourceError
from tests.engine.engine_repo import (
    DAY,
    END,
    HOUR,
    OURS,
    START,
    USER,
    Dump,
    OpenStore,
    online,
    simple_rows,
    view_of,
    write_rows,
)

KILLED = """
import os, signal, sys
from datetime import datetime
from feast import FeatureStore
from feast_plugins import columnar_engine, redis_writer
write, batches = redis_writer.RowWriter.write, []

def write_twice(self, *columns):
    write(self, *columns)
    self.finish()
    batches.append(1)
    if len(batches) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

columnar_engine.ROWS_PER_BATCH = 100
redis_writer.RowWriter.write = write_twice
store = FeatureStore(repo_path=sys.argv[1])
store.materialize(datetime.fromisoformat(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))
"""


def test_a_killed_run_is_answered_from_and_finished_by_the_next(
    open_store: OpenStore, dump: Callable[[], Dump], client: redis.Redis, tmp_path: Path
) -> None:
    old, new = tmp_path / "rows.parquet", START + DAY
    write_rows(old, *((f"u{n}", START, START, n) for n in range(1_000)))
    store = open_store(view_of(old, count=Int64))
    store.materialize(START, START + HOUR)
    write_rows(old, *((f"u{n}", new, new, n + 5_000) for n in range(1_000)))
    arguments = [str(tmp_path), START.isoformat(), END.isoformat()]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env=os.environ,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    asked = {"user_id": [f"u{n}" for n in range(1_000)]}
    between = store.get_online_features(["v:count"], asked).to_dict()["count"]
    assert set(between) <= {*range(1_000), *range(5_000, 6_000)}
    assert sum(value >= 5_000 for value in between) == 200
    open_store(view_of(old, count=Int64)).materialize(START, END)
    finished = dump()
    client.flushall()
    open_store(view_of(old, count=Int64), name="other").materialize(START, END)
    assert finished == dump()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"count": None}, r"v: .*rows\.parquet has no column count"),
        ({"count": pa.array(["1", "2", "3"])}, r"v: count of .*rows\.parquet is string"),
        ({"created": pa.array([START] * 3, pa.timestamp("us"))}, "differ in their zone"),
    ],
    ids=["missing column", "wrong type", "zones differ"],
)
def test_a_source_that_is_not_as_declared_is_refused_before_anything_is_written(
    changes: dict[str, Any], says: str, open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table(simple_rows()), file)
    store = open_store(view_of(file, count=Int64))
    pq.write_table(pa.table(simple_rows(**changes)), file)
    with pytest.raises(SourceError, match=says):
        store.materialize(START, END)
    assert client.dbsize() == 0
    assert not store.get_feature_view("v").materialization_intervals


def test_a_full_redis_fails_the_run(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    write_rows(tmp_path / "rows.parquet", *((f"u{n}", START, START, n) for n in range(5_000)))
    store = open_store(view_of(tmp_path / "rows.parquet", count=Int64))
    limit = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", client.info("memory")["used_memory"])
    try:
        with pytest.raises(redis.OutOfMemoryError):
            store.materialize(START, END)
    finally:
        client.config_set("maxmemory", limit)
    assert not store.get_feature_view("v").materialization_intervals
    store.materialize(START, END)
    assert client.dbsize() == 5_000


def test_another_online_store_goes_to_feasts_local_engine(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    pq.write_table(pa.table(simple_rows()), tmp_path / "rows.parquet")
    config = RepoConfig(
        repo_path=tmp_path,
        provider="local",
        project="p",
        registry=str(tmp_path / "file.db"),
        **{**OURS, "online_store": {"type": "sqlite", "path": str(tmp_path / "online.db")}},
    )
    store = FeatureStore(config=config)
    store.apply([USER, view_of(tmp_path / "rows.parquet", count=Int64)])
    store.materialize(START, END)
    assert online(store) == [1, 3]
    assert client.dbsize() == 0
