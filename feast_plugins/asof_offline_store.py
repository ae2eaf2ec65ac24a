"""An offline store for Feast whose point-in-time join is an as-of join on polars.

In feature_store.yaml:

    offline_store:
      type: feast_plugins.asof_offline_store.AsofOfflineStore

Sources are Parquet files or folders. All other operations are inherited from Feast's duckdb
store.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.utils import compute_non_entity_date_range, to_naive_utc

from feast_plugins.entity_rows import EntityInput, EntityRows, entity_rows
from feast_plugins.retrieval_jobs import AsofJob, QueryJob
from feast_plugins.source_rows import append_rows, rows_between
from feast_plugins.view_join import entity_rows_at, view_join


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Options: rows are joined and written `rows_per_chunk` at a time, which bounds the memory."""

    type: Literal["feast_plugins.asof_offline_store.AsofOfflineStore"] = (
        "feast_plugins.asof_offline_store.AsofOfflineStore"
    )
    rows_per_chunk: int = 1_000_000


class AsofOfflineStore(DuckDBOfflineStore):
    """Point-in-time joins by as-of join; the results are of the declared types."""

    supports_filter_by_created_timestamp = True

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
        **dates: datetime,
    ) -> AsofJob:
        """Read and order the views' sources; the join itself runs when the job is executed.

        Without entity rows, join every entity that has features at `end_date`, by default now.
        Raises SourceError for a source that is not as declared, and EntityRowsError for entity rows
        that lack a column or have one of another type; both before the join.
        """
        entities = None if entity_df is None else entity_rows(entity_df, config.repo_path)
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
        metadata = job_metadata(entities, feature_refs) if entities else None
        if entities is None:
            start, end = compute_non_entity_date_range(feature_views, **dates)
            entities = entity_rows(entity_rows_at(joins, to_naive_utc(end)), config.repo_path)
            metadata = RetrievalMetadata(feature_refs, [], start, end)
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
        """Return the newest row of each entity from `start_date` to `end_date`, both included.

        Raises SourceError for a source without the columns; so does pull_all.
        """
        times = timestamp_field, created_timestamp_column
        columns = join_key_columns, feature_name_columns, times
        return rows_between(config, data_source, *columns, start_date, end_date, newest=True)

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
        """Return every row from `start_date` to `end_date`, both included; None is no bound."""
        times = timestamp_field, created_timestamp_column
        columns = join_key_columns, feature_name_columns, times
        return rows_between(config, data_source, *columns, start_date, end_date)

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
        append_rows(feature_view.name, feature_view.batch_source, table, config)
        if progress:
            progress(len(table))


def job_metadata(entities: EntityRows, feature_refs: list[str]) -> RetrievalMetadata:
    """Return what Feast stores about a data set: its features, keys, and range of times."""
    oldest, newest = entities.time_range()
    keys = [name for name in entities.names if name != entities.event_time]
    return RetrievalMetadata(feature_refs, keys, oldest, newest)
