"""A batch engine for Feast that materializes in columns: DuckDB, Arrow batches, packed commands.

In feature_store.yaml:

    batch_engine:
      type: feast_plugins.columnar_engine.ColumnarEngine

It takes Parquet sources and a Redis online store; anything else goes to Feast's local engine.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import pyarrow as pa
from feast import FeatureView
from feast.feature_view import DUMMY_ENTITY_NAME
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.infra.registry.base_registry import BaseRegistry

from feast_plugins.asof_offline_store import AsofOfflineStore
from feast_plugins.columnar_encoding import encode_features, encode_times, entity_keys
from feast_plugins.columnar_rows import SourceRows
from feast_plugins.feast_internals import redis_client, stored_name
from feast_plugins.feature_source import (
    CheckedSource,
    SourceError,
    check_source,
    source_columns,
    time_names,
)
from feast_plugins.redis_encoding import KEY_KINDS, Kind
from feast_plugins.redis_writer import RowWriter

log = logging.getLogger(__name__)
T = TypeVar("T")


class ColumnarEngineConfig(LocalComputeEngineConfig):
    """Options: DuckDB may use `memory_limit`, and spills beyond it."""

    type: Literal["feast_plugins.columnar_engine.ColumnarEngine"] = (
        "feast_plugins.columnar_engine.ColumnarEngine"
    )
    memory_limit: str = "512MB"


class ColumnarEngine(LocalComputeEngine):
    """A batch engine that streams the newest row of each entity from Parquet to Redis."""

    def __init__(self, *, memory_limit: str = "512MB", **kwargs: Any) -> None:
        super().__init__(**{name: v for name, v in kwargs.items() if name != "type"})
        self._memory_limit = memory_limit

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        if not self._takes(task):
            return super()._materialize_one(registry, task, **kwargs)
        try:
            source = check_source(task.feature_view, self.repo_config)
        except SourceError as error:
            if isinstance(self.offline_store, AsofOfflineStore):  # it rejects the source as well
                return _job(task, error)
            job = super()._materialize_one(registry, task, **kwargs)
            if job.status() is not MaterializationJobStatus.SUCCEEDED:
                return _job(task, error)
            log.warning("Feast's local engine has materialized what this one cannot: %s", error)
            return job
        try:
            self._stream(task, source)
        except Exception as error:  # noqa: BLE001 - Feast raises what a job carries
            return _job(task, error)
        return _job(task)

    def _takes(self, task: MaterializationTask) -> bool:
        view, store = task.feature_view, self.online_store
        return (
            type(view) is FeatureView
            and not view.source_views
            and DUMMY_ENTITY_NAME not in view.entities
            and isinstance(view.batch_source, FileSource)
            and not view.batch_source.path.startswith("s3://")
            and isinstance(store, RedisOnlineStore)
            and {field.dtype.to_value_type().value for field in view.entity_columns} <= KEY_KINDS
            and {field.dtype.to_value_type().value for field in view.features} <= set(Kind)
            and task.only_latest
            and not task.disable_event_timestamp
        )

    def _stream(self, task: MaterializationTask, source: CheckedSource) -> None:
        view, config = task.feature_view, self.repo_config
        rows = SourceRows(task, source, self._memory_limit)
        features = {field.name: field.dtype.to_value_type() for field in view.features}
        key_kinds = {key.name: Kind(key.dtype.to_value_type().value) for key in view.entity_columns}
        client = redis_client(self.online_store, config)
        version = config.entity_key_serialization_version
        ttl_seconds = config.online_store.key_ttl_seconds or 0
        columns, stored = source_columns(view), stored_name(view, config)
        progress = _progress(task)
        times = time_names(view.batch_source)

        def keys_of(batch: pa.RecordBatch) -> list[bytes]:
            columns = {key: batch[key] for key in key_kinds}
            return entity_keys(task.project, columns, version, key_kinds)

        with RowWriter(client, stored, list(features), ttl_seconds) as writer:
            for batch in rows.newest():
                writer.write(
                    _encoded(source, ", ".join(key_kinds), keys_of, batch),
                    encode_times(*(batch[name] for name in times)),
                    [
                        _encoded(source, columns[name], encode_features, batch[name], kind)
                        for name, kind in features.items()
                    ],
                )
                progress(len(batch))
            writer.finish()
        _report_left_out(rows)


def _encoded(source: CheckedSource, column: str, encode: Callable[..., T], *of: Any) -> T:
    """Call an encoder; raise SourceError that names the view, the column and the source."""
    try:
        return encode(*of)
    except (ValueError, TypeError, AssertionError) as error:
        files = source.files
        raise SourceError(f"{files.owner}: {column} of {files.path}: {error}") from error


def _job(task: MaterializationTask, error: Exception | None = None) -> LocalMaterializationJob:
    job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
    status = MaterializationJobStatus.ERROR if error else MaterializationJobStatus.SUCCEEDED
    return LocalMaterializationJob(job_id, status, error)


def _report_left_out(rows: SourceRows) -> None:
    """Log how many rows of the interval had not arrived by the end of the run."""
    count, latest = rows.left_out()
    if count:
        log.warning(
            "%s: left out %d rows of the interval, created after %s; "
            "a run that ends at %s or later takes them",
            *(rows.task.feature_view.name, count, rows.known_until, latest),
        )


def _progress(task: MaterializationTask) -> Callable[[int], object]:
    """Return the callback of Feast's progress bar; the total is not known in advance."""
    if task.tqdm_builder is None or not sys.stderr.isatty():
        return lambda rows: None
    bar = task.tqdm_builder(None)
    return lambda rows: bar.update(rows)
