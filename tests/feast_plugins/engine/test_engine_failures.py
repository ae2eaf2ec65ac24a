"""Runs that are killed, rejected or out of memory, and stores that the engine does not support."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from feast import FeatureStore, RepoConfig
from feast.types import UnixTimestamp

from feast_plugins.feature_source import SourceError
from tests.feast_plugins.asof_repo import (
    HOUR,
    ROWS,
    START,
    USER,
    at,
    feature_view,
    online,
    source,
    write_rows,
)
from tests.feast_plugins.engine.engine_repo import END, ENGINE, Dump, OpenStore, row, view_of

KILLED = """
import os, signal, sys
from datetime import datetime
from feast import FeatureStore
from feast_plugins import columnar_rows, redis_writer
write, batches = redis_writer.RowWriter.write, []

def write_twice(self, *columns):
    write(self, *columns)
    self.finish()
    batches.append(1)
    if len(batches) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

columnar_rows.ROWS_PER_BATCH = 100
redis_writer.RowWriter.write = write_twice
store = FeatureStore(repo_path=sys.argv[1])
store.materialize(datetime.fromisoformat(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))
"""


def test_a_killed_run_is_answered_from_and_finished_by_the_next(
    open_store: OpenStore, dump: Callable[[], Dump], client: redis.Redis, tmp_path: Path
) -> None:
    users = [f"u{n}" for n in range(1_000)]
    file = write_rows(tmp_path / "rows.parquet", [row(u, 0, n) for n, u in enumerate(users)])
    store = open_store(view_of(file))
    store.materialize(START, START + HOUR)
    write_rows(file, [row(user, 24, n + 5_000) for n, user in enumerate(users)])
    arguments = [str(tmp_path), START.isoformat(), END.isoformat()]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env=os.environ,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    between = online(store, *users)
    assert set(between) <= {*range(1_000), *range(5_000, 6_000)}
    assert sum(value >= 5_000 for value in between) == 200
    open_store(view_of(file)).materialize(START, END)
    finished = dump()
    client.flushall()
    open_store(view_of(file), name="other").materialize(START, END)
    assert finished == dump()


def test_a_source_that_is_not_as_declared_is_refused_before_anything_is_written(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    store = open_store(view_of(file))
    write_rows(file, [{**each, "value": "1"} for each in ROWS], value=pa.string())
    with pytest.raises(SourceError, match=r"v: value of .*rows\.parquet is string"):
        store.materialize(START, END)
    assert client.dbsize() == 0
    assert not store.get_feature_view("v").materialization_intervals


def test_values_that_duckdb_cannot_convert_name_the_view_and_the_source(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """One file has a date for Unix seconds; DuckDB promotes neither to the other."""
    kinds = {"1": (at(0).date(), pa.date32()), "2": (1_767_225_600, pa.int64())}
    for name, (value, stored) in kinds.items():
        write_rows(
            tmp_path / "data" / f"{name}.parquet", [{**ROWS[0], "value": value}], value=stored
        )
    view = feature_view("v", source(tmp_path / "data"), features={"value": UnixTimestamp})
    with pytest.raises(SourceError, match=r"v: .*data cannot be read: Conversion Error"):
        open_store(view).materialize(START, END)


def test_a_full_redis_fails_the_run(
    open_store: OpenStore, full_redis: redis.Redis, tmp_path: Path
) -> None:
    rows = [row(f"u{n}", 0, n) for n in range(5_000)]
    store = open_store(view_of(write_rows(tmp_path / "rows.parquet", rows)))
    with pytest.raises(redis.OutOfMemoryError):
        store.materialize(START, END)
    assert not store.get_feature_view("v").materialization_intervals
    full_redis.config_set("maxmemory", 0)
    store.materialize(START, END)
    assert full_redis.dbsize() == 5_000


def test_another_online_store_goes_to_feasts_local_engine(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    view = view_of(write_rows(tmp_path / "rows.parquet", ROWS))
    config = RepoConfig(
        repo_path=tmp_path,
        provider="local",
        project="p",
        registry=str(tmp_path / "file.db"),
        **{**ENGINE, "online_store": {"type": "sqlite", "path": str(tmp_path / "online.db")}},
    )
    store = FeatureStore(config=config)
    store.apply([USER, view])
    store.materialize(START, END)
    assert online(store, "a", "b") == [3, 20]
    assert client.dbsize() == 0
