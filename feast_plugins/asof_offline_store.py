"""An offline store for Feast whose point-in-time join is an as-of join on polars.

In feature_store.yaml:

    offline_store:
      type: feast_plugins.asof_offline_store.AsofOfflineStore

Sources are Parquet files or folders. What is neither read nor written here is Feast's duckdb
store's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry

from feast_plugins.entity_rows import Asked, EntityRows, entity_rows
from feast_plugins.feature_source import (
    SourceError,
    check_columns,
    file_path,
    read_schema,
)
from feast_plugins.parquet_files import append_parquet, parquet_files
from feast_plugins.retrieval_jobs import AsofJob, QueryJob
from feast_plugins.view_join import view_join


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Options: rows are joined and written `rows_per_chunk` at a time, which bounds the memory."""

    type: Literal["feast_plugins.asof_offline_store.AsofOfflineStore"] = (
        "feast_plugins.asof_offline_store.AsofOfflineStore"
    )
    rows_per_chunk: int = 1_000_000


class AsofOfflineStore(DuckDBOfflineStore):
    """Point-in-time joins by as-of join; what Feast reads back has the declared types."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: Asked | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **dates: datetime,
    ) -> AsofJob:
        """Read and order the views' sources; the join itself runs when the job is asked.

        Raises SourceError for a source that is not as declared, and EntityRowsError for entity rows
        that lack a column or have one of another type; both before anything is joined.
        """
        if entity_df is None:
            raise NotImplementedError("this store joins entity rows: give an entity_df, not dates")
        entities = entity_rows(entity_df, config.repo_path)
        joins = [
            view_join(
                view,
                feature_refs,
                entities,
                config,
                full_feature_names=full_feature_names,
                known_only=filter_by_created_timestamp,
            )
            for view in feature_views
        ]
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        metadata = _metadata(entities, feature_refs)
        return AsofJob(entities, joins, config, metadata, on_demand, full_feature_names)

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> QueryJob:
        """The newest row of each entity from `start_date` to `end_date`, both included.

        Raises SourceError for a source without the columns; so does pull_all.
        """
        times = [name for name in (timestamp_field, created_timestamp_column) if name]
        columns = join_key_columns, feature_name_columns, times
        rows, parameters = _rows(config, data_source, *columns, start_date, end_date)
        newest_first = ", ".join(f'"{name}" DESC NULLS LAST' for name in times)
        keys = ", ".join(f'"{key}"' for key in join_key_columns)
        partition = f"PARTITION BY {keys}" if keys else ""
        newest = f"{rows} QUALIFY row_number() OVER ({partition} ORDER BY {newest_first}) = 1"
        return QueryJob(config, newest, parameters)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> QueryJob:
        """Every row from `start_date` to `end_date`, both included; no date is no bound."""
        times = [name for name in (timestamp_field, created_timestamp_column) if name]
        columns = join_key_columns, feature_name_columns, times
        rows, parameters = _rows(config, data_source, *columns, start_date, end_date)
        return QueryJob(config, rows, parameters)

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Add rows to a view's source; readers see all of them or none.

        Raises SourceError for rows of other columns, or of values that its types cannot hold.
        """
        path = file_path(feature_view.name, feature_view.batch_source, config)
        source = read_schema(feature_view.name, path)
        if set(table.column_names) != set(source.names):
            raise SourceError(
                f"{feature_view.name}: {path} has {', '.join(source.names)}; "
                f"the rows have {', '.join(table.column_names)}"
            )
        try:
            rows = table.select(source.names).cast(source)
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{feature_view.name}: {path} cannot hold the rows: {error}"
            ) from error
        append_parquet(rows, path)
        if progress:
            progress(len(table))


def _metadata(entities: EntityRows, feature_refs: list[str]) -> RetrievalMetadata:
    oldest, newest = entities.time_range()
    keys = [name for name in entities.names if name != entities.event_time]
    return RetrievalMetadata(feature_refs, keys, oldest, newest)


def _rows(
    config: RepoConfig,
    source: DataSource,
    keys: Sequence[str],
    features: Sequence[str],
    times: Sequence[str],
    start: datetime | None,
    end: datetime | None,
) -> tuple[str, list[Any]]:
    """A query, and its parameters, for a source's rows in a range of event times.

    The times come in UTC microseconds. Rows without keys get Feast's made-up one, under which it
    materializes a view without entities. Raises SourceError.
    """
    path = file_path(source.name, source, config)
    check_columns(source.name, source, [*keys, *features, *times], config)
    key = [f'"{name}"' for name in keys] or [f"'{DUMMY_ENTITY_VAL}' AS {DUMMY_ENTITY_ID}"]
    plain = [f'"{name}"' for name in features]
    in_utc = [f'CAST("{name}" AS TIMESTAMPTZ) AS "{name}"' for name in times]
    query = f"""
        SELECT {", ".join([*key, *plain, *in_utc])}
        FROM read_parquet(?, union_by_name = true, hive_partitioning = false)
        WHERE CAST("{times[0]}" AS TIMESTAMPTZ)
            BETWEEN CAST(? AS TIMESTAMPTZ) AND CAST(? AS TIMESTAMPTZ)
    """
    files = [str(file) for file in parquet_files(path)]
    return query, [files, start or datetime.min, end or datetime.max]
