"""An offline store for Feast: the point-in-time join of AsofOfflineStore on a Spark cluster.

In feature_store.yaml:

    offline_store:
      type: scale.spark_offline_store.SparkAsofOfflineStore
      master: spark://127.0.0.1:7077

Sources are Parquet files or folders that all workers see under the same path, as is `staging`. All
operations but the join are inherited, and run in this process.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.infra.registry.base_registry import BaseRegistry
from pydantic import Field
from pyspark.sql import SparkSession

from feast_plugins.asof_join import CREATED, TIME, alike
from feast_plugins.asof_offline_store import AsofOfflineStore, AsofOfflineStoreConfig, job_metadata
from feast_plugins.entity_rows import EntityInput, EntityRows, EntityRowsError, entity_rows
from feast_plugins.feature_source import check_source, source_columns
from feast_plugins.retrieval_jobs import ChunkedJob, with_features
from feast_plugins.source_types import as_utc, convert, polars_type
from feast_plugins.view_join import check_entities, requested_features
from scale.spark_join import AsofJoin, Rows, block, run

NAME: Final = "scale.spark_offline_store.SparkAsofOfflineStore"
MICROSECONDS = pa.int64()  # of TIME and CREATED: Spark's own times depend on a session's zone


class SparkAsofOfflineStoreConfig(AsofOfflineStoreConfig):
    """Options: the cluster, the parts that the keys are hashed to, and the session's options."""

    type: Literal["scale.spark_offline_store.SparkAsofOfflineStore"] = NAME  # type: ignore[assignment]
    master: str = "local[2]"
    partitions: int = 32
    staging: str | None = None
    spark_conf: dict[str, str] = Field(default_factory=dict)


class SparkAsofOfflineStore(AsofOfflineStore):
    """Point-in-time joins on Spark, equal to those of the embedded store bit for bit."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: EntityInput | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **dates: Any,
    ) -> ChunkedJob:
        """Check the sources and the entity rows; the join runs when the job is executed.

        Raises SourceError and EntityRowsError as the embedded store does, and without entity rows.
        """
        if entity_df is None:
            raise EntityRowsError("a join on Spark needs entity rows; AsofOfflineStore does not")
        entities = entity_rows(entity_df, config.repo_path)
        views = [
            ScaledView(view, feature_refs, entities, config, has_prefix=full_feature_names)
            for view in feature_views
        ]
        metadata = job_metadata(entities, feature_refs)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        job = config, metadata, on_demand, full_feature_names
        return SparkJob(entities, views, filter_by_created_timestamp, *job)


class ScaledView:
    """One view's part in a join: its checked source, and its names in the entity rows."""

    def __init__(
        self,
        view: FeatureView,
        feature_refs: Sequence[str],
        entities: EntityRows,
        config: RepoConfig,
        *,
        has_prefix: bool,
    ) -> None:
        """Raise SourceError and EntityRowsError for what cannot be joined."""
        prefix = f"{view.projection.name_alias or view.name}__" if has_prefix else ""
        renamed, self._columns = view.projection.join_key_map, source_columns(view)
        self._source, self.ttl = check_source(view, config), view.ttl or None
        self.output_name = {f: f"{prefix}{f}" for f in requested_features(view, feature_refs)}
        self.entity_column = {k: renamed.get(k, k) for k in view.join_keys if k in self._columns}
        outputs = list(self.output_name.values())
        check_entities(view, self.entity_column, outputs, entities, self._source)
        batch = view.batch_source
        times = {TIME: batch.timestamp_field, CREATED: batch.created_timestamp_column}
        self._times = {alias: self._columns[name] for alias, name in times.items() if name}

    def rows(self) -> Rows:
        """Return the view's rows, converted as the embedded store converts them."""
        names = [*self.entity_column, *self.output_name]
        types = self._types(names) | dict.fromkeys(self._times, MICROSECONDS)
        read = {name: self._columns[name] for name in names} | self._times
        files = [self._scan(file, read) for file in self._source.files.names]
        return Rows(files, tuple(self.entity_column), pa.schema(types))

    def asked(self, staged: Sequence[Path]) -> Rows:
        """Return the entity rows, their keys in the types of the view's."""
        files = [pl.scan_parquet(file) for file in staged]
        found, types = files[0].collect_schema(), self._types([*self.entity_column])
        wanted = pl.Schema({key: polars_type(kind) for key, kind in types.items()})
        keys = [
            alike(column, found[column], wanted[key]).alias(key)
            for key, column in self.entity_column.items()
        ]
        schema = pa.schema({**types, TIME: MICROSECONDS})
        return Rows([file.select(*keys, TIME) for file in files], tuple(types), schema)

    def _types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        return {name: self._source.types[self._columns[name]] for name in names}

    def _scan(self, file: str, read: Mapping[str, str]) -> pl.LazyFrame:
        frame = self._source.files.scan(file, list(dict.fromkeys(read.values())))
        found, types = frame.collect_schema(), self._source.types

        def converted(name: str, column: str) -> pl.Expr:
            if name in self._times:
                return convert(pl.col(column), found[column], pl.Datetime("us")).cast(pl.Int64)
            return convert(pl.col(column), found[column], polars_type(types[column]))

        return frame.select(converted(*pair).alias(pair[0]) for pair in read.items())


class SparkJob(ChunkedJob):
    """Entity rows, staged in files of `rows_per_chunk`, joined with each view on Spark."""

    def __init__(
        self, entities: EntityRows, views: Sequence[ScaledView], known_only: bool, *job: Any
    ) -> None:
        super().__init__(*job)
        self._entities, self._views, self._known_only = entities, views, known_only

    def _chunks(self) -> Iterator[pa.Table]:
        with tempfile.TemporaryDirectory(dir=self._config.offline_store.staging) as folder:
            joins = self._run(Path(folder))
            chunks = self._entities.chunks(self._entities.names, self._rows_per_chunk)
            for number, rows in enumerate(chunks):
                for place, (view, join) in enumerate(zip(self._views, joins, strict=True)):
                    found = block(Path(folder) / str(place), number, join.features)
                    rows = with_features(rows, found.rename_columns([*view.output_name.values()]))
                yield rows

    def _run(self, folder: Path) -> list[AsofJoin]:
        """Write each view's features to a folder of its number."""
        staged, options = self._stage(folder), self._config.offline_store
        spark = session(options)
        joins = [AsofJoin(v.asked(staged), v.rows(), v.ttl, self._known_only) for v in self._views]
        for place, join in enumerate(joins):
            run(spark, join, options.partitions, folder / str(place))
        return joins

    def _stage(self, folder: Path) -> list[Path]:
        """Write the keys and times of the entity rows to files, and return them."""
        event_time, staged = self._entities.event_time, []
        names = {column for view in self._views for column in view.entity_column.values()}
        time = as_utc(pl.col(event_time)).cast(pl.Int64).alias(TIME)
        chunks = self._entities.chunks([*names, event_time], self._rows_per_chunk)
        for number, rows in enumerate(chunks):
            staged.append(folder / f"entities-{number}.parquet")
            pl.DataFrame(rows).with_columns(time).write_parquet(staged[-1])
        return staged


def session(options: SparkAsofOfflineStoreConfig) -> SparkSession:
    """Return the session of this process; a session that is open stays with its cluster."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("feature store").master(options.master)
    conf = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(options.partitions),
        # By default nanoseconds, which wrap for times before 1677.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.session.timeZone": "UTC",
    }
    return builder.config(map=conf | options.spark_conf).getOrCreate()
