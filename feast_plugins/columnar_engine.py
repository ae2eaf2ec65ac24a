"""A batch engine for Feast that materializes in columns: DuckDB, Arrow batches, packed commands.

In feature_store.yaml:

    batch_engine:
      type: feast_plugins.columnar_engine.ColumnarEngine

It takes Parquet sources and a Redis online store; anything else goes to Feast's local engine.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView
from feast.feature_view import DUMMY_ENTITY_NAME
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.online_stores.redis import RedisOnlineStore, RedisType
from feast.infra.registry.base_registry import BaseRegistry

from feast_plugins.columnar_encoding import encode_features, encode_times, entity_keys
from feast_plugins.duckdb_session import connect
from feast_plugins.feature_source import check_source, source_columns, source_path
from feast_plugins.parquet_files import parquet_files
from feast_plugins.redis_encoding import Kind
from feast_plugins.redis_writer import RowWriter

ROWS_PER_PARTITION = 4_000_000
ROWS_PER_BATCH = 20_000

# Feast asks for the rows that happened in the interval. Those that happened before and arrived
# since its start belong to it as well: no other run would ask for them. Rows that arrive after
# $known are not there yet.
NEWEST = """
SELECT {columns}
FROM read_parquet($files, union_by_name = true, hive_partitioning = false)
WHERE {happened} <= $end AND ({happened} >= $start OR {created} > $start)
  AND {created} <= $known AND {has_key} AND {partition}
QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest_first}) = 1
"""


class ColumnarEngineConfig(LocalComputeEngineConfig):
    """Options: DuckDB may use `memory_limit`, and spills beyond it."""

    type: Literal["feast_plugins.columnar_engine.ColumnarEngine"] = (
        "feast_plugins.columnar_engine.ColumnarEngine"
    )
    memory_limit: str = "512MB"


class ColumnarEngine(LocalComputeEngine):
    """Streams the newest row of each entity from Parquet to Redis."""

    def __init__(self, *, memory_limit: str = "512MB", **kwargs: Any) -> None:
        super().__init__(**{name: v for name, v in kwargs.items() if name != "type"})
        self._memory_limit = memory_limit

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        if not self._takes(task):
            return super()._materialize_one(registry, task, **kwargs)
        job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
        try:
            self._stream(task)
        except Exception as error:  # noqa: BLE001 - Feast raises what a job carries
            return LocalMaterializationJob(job_id, MaterializationJobStatus.ERROR, error)
        return LocalMaterializationJob(job_id, MaterializationJobStatus.SUCCEEDED)

    def _takes(self, task: MaterializationTask) -> bool:
        view, store = task.feature_view, self.online_store
        return (
            type(view) is FeatureView
            and DUMMY_ENTITY_NAME not in view.entities
            and isinstance(view.batch_source, FileSource)
            and not view.batch_source.path.startswith("s3://")
            and isinstance(store, RedisOnlineStore)
            and self.repo_config.online_store.redis_type == RedisType.redis
            and {field.dtype.to_value_type().value for field in view.features} <= set(Kind)
            and task.only_latest
            and not task.disable_event_timestamp
        )

    def _stream(self, task: MaterializationTask) -> None:
        view, config = task.feature_view, self.repo_config
        check_source(view, config)
        store = config.online_store
        features = {field.name: field.dtype.to_value_type() for field in view.features}
        key_kinds = {key.name: Kind(key.dtype.to_value_type().value) for key in view.entity_columns}
        client = self.online_store._get_client(store)
        version = config.entity_key_serialization_version
        progress = _progress(task)
        with RowWriter(client, view.name, list(features), store.key_ttl_seconds or 0) as writer:
            for batch in self._newest_rows(task):
                keys = {key: batch[key] for key in key_kinds}
                writer.write(
                    entity_keys(task.project, keys, version, key_kinds),
                    encode_times(batch[view.batch_source.timestamp_field]),
                    [encode_features(batch[name], kind) for name, kind in features.items()],
                )
                progress(len(batch))
            writer.finish()

    def _newest_rows(self, task: MaterializationTask) -> Iterator[pa.RecordBatch]:
        """The newest row of each entity, in batches, one hash partition of the keys at a time."""
        view = task.feature_view
        files = parquet_files(Path(source_path(view, self.repo_config)))
        rows = sum(pq.ParquetFile(file).metadata.num_rows for file in files)
        partitions = 1 + rows // ROWS_PER_PARTITION
        parameters = {
            "files": [str(file) for file in files],
            "start": task.start_time,
            "end": task.end_time,
            "known": _known_until(task),
        }
        with tempfile.TemporaryDirectory() as spill, connect() as connection:
            connection.execute("SET memory_limit = ?", [self._memory_limit])
            connection.execute("SET temp_directory = ?", [spill])
            for partition in range(partitions):
                query = _query(view, partition, partitions)
                reader = connection.execute(query, parameters)
                yield from reader.to_arrow_reader(ROWS_PER_BATCH)


def _known_until(task: MaterializationTask) -> datetime:
    """A row counts once it has arrived by the end of this run, or of any run before it.

    So a run ignores what a later one will bring, and a backfill of an old interval sees the
    corrections that are in the online store already.
    """
    last_run: datetime | None = task.feature_view.most_recent_end_time
    end: datetime = task.end_time
    return max(end, last_run) if last_run else end


def _progress(task: MaterializationTask) -> Callable[[int], object]:
    """Feast's progress bar, where somebody looks; how many entities come is not known before."""
    if task.tqdm_builder is None or not sys.stderr.isatty():
        return lambda rows: None
    bar = task.tqdm_builder(None)
    return lambda rows: bar.update(rows)


def _query(view: FeatureView, partition: int, partitions: int) -> str:
    source, names = view.batch_source, source_columns(view)
    keys = [f'"{names[key]}"' for key in view.join_keys]
    times = [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
    in_utc = {name: f'CAST("{names[name]}" AS TIMESTAMPTZ)' for name in times}
    happened = in_utc[times[0]]
    plain = [f'"{own}" AS "{name}"' for name, own in names.items() if name not in in_utc]
    return NEWEST.format(
        columns=", ".join([*plain, *(f'{cast} AS "{name}"' for name, cast in in_utc.items())]),
        happened=happened,
        created=f"coalesce({in_utc[times[-1]]}, {happened})",
        has_key=" AND ".join(f"{key} IS NOT NULL" for key in keys),
        partition=f"hash({', '.join(keys)}) % {partitions} = {partition}",
        keys=", ".join(keys),
        newest_first=", ".join(f"{cast} DESC" for cast in in_utc.values()),
    )
