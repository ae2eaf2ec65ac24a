"""A batch engine for Feast that materializes in columns: DuckDB, Arrow batches, packed commands.

In feature_store.yaml:

    batch_engine:
      type: feast_plugins.columnar_engine.ColumnarEngine

It takes Parquet sources and a Redis online store; anything else goes to Feast's local engine.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.online_stores.redis import RedisOnlineStore, RedisType
from feast.infra.registry.base_registry import BaseRegistry

from feast_plugins.asof_offline_store import connect
from feast_plugins.columnar_encoding import encode_features, encode_times, entity_keys
from feast_plugins.feature_source import check_source, source_columns, source_path
from feast_plugins.redis_writer import RowWriter

ROWS_PER_PARTITION = 4_000_000
ROWS_PER_BATCH = 20_000

# Feast asks for the rows that happened in the interval. Those that happened before, and arrived in
# it, belong to it as well: no other run would ask for them.
NEWEST = """
SELECT {columns}
FROM read_parquet($file)
WHERE {happened} <= $end AND ({happened} >= $start OR {arrived}) AND {partition}
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
            and isinstance(view.batch_source, FileSource)
            and isinstance(store, RedisOnlineStore)
            and self.repo_config.online_store.redis_type == RedisType.redis
            and task.only_latest
            and not task.disable_event_timestamp
        )

    def _stream(self, task: MaterializationTask) -> None:
        view, config = task.feature_view, self.repo_config
        check_source(view, config)
        store = config.online_store
        features = {field.name: field.dtype.to_value_type() for field in view.features}
        client = self.online_store._get_client(store)
        version = config.entity_key_serialization_version
        with RowWriter(client, view.name, list(features), store.key_ttl_seconds or 0) as writer:
            for batch in self._newest_rows(task):
                keys = {key: batch[key] for key in view.join_keys}
                writer.write(
                    entity_keys(task.project, keys, version),
                    encode_times(batch[view.batch_source.timestamp_field]),
                    [encode_features(batch[name], kind) for name, kind in features.items()],
                )
            writer.finish()

    def _newest_rows(self, task: MaterializationTask) -> Iterator[pa.RecordBatch]:
        """The newest row of each entity, in batches, one hash partition of the keys at a time."""
        file = source_path(task.feature_view, self.repo_config)
        partitions = 1 + _row_count(Path(file)) // ROWS_PER_PARTITION
        with connect() as connection:
            connection.execute("SET memory_limit = ?", [self._memory_limit])
            for partition in range(partitions):
                query = _query(task.feature_view, partition, partitions)
                moments = {"start": task.start_time, "end": task.end_time}
                reader = connection.execute(query, {"file": file, **moments})
                yield from reader.to_arrow_reader(ROWS_PER_BATCH)


def _query(view: FeatureView, partition: int, partitions: int) -> str:
    source, names = view.batch_source, source_columns(view)
    keys = ", ".join(f'"{names[key]}"' for key in view.join_keys)
    times = [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
    in_utc = {name: f'CAST("{names[name]}" AS TIMESTAMPTZ)' for name in times}
    created = in_utc.get(source.created_timestamp_column)
    plain = [f'"{own}" AS "{name}"' for name, own in names.items() if name not in in_utc]
    return NEWEST.format(
        columns=", ".join([*plain, *(f'{cast} AS "{name}"' for name, cast in in_utc.items())]),
        happened=in_utc[source.timestamp_field],
        arrived=f"({created} > $start AND {created} <= $end)" if created else "FALSE",
        partition=f"hash({keys}) % {partitions} = {partition}" if partitions > 1 else "TRUE",
        keys=keys,
        newest_first=", ".join(f"{cast} DESC" for cast in in_utc.values()),
    )


def _row_count(path: Path) -> int:
    files: Sequence[Path] = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)
