"""An offline store for Feast whose point-in-time join is an as-of join on polars.

In feature_store.yaml:

    offline_store:
      type: feast_plugins.asof_offline_store.AsofOfflineStore

Sources are Parquet files or folders. What is not a point-in-time join is Feast's duckdb store's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.file_source import FileSource, SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry
from feast.saved_dataset import SavedDatasetStorage

from feast_plugins.asof_join import TIME, Timeline, join, timeline
from feast_plugins.feature_source import as_utc, read_source

EntityRows: TypeAlias = pd.DataFrame | pa.Table | str


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Options: entity rows are joined `rows_per_chunk` at a time, which bounds the memory."""

    type: Literal["feast_plugins.asof_offline_store.AsofOfflineStore"] = (
        "feast_plugins.asof_offline_store.AsofOfflineStore"
    )
    rows_per_chunk: int = 1_000_000


@dataclass(frozen=True)
class ViewJoin:
    """A view's timeline; the entity column of each join key; what its features are called."""

    timeline: Timeline
    entity_column: dict[str, str]
    output_name: dict[str, str]

    def features_of(self, entities: pl.DataFrame) -> pl.DataFrame:
        """The view's features for each entity row, in order."""
        keys = [pl.col(column).alias(key) for key, column in self.entity_column.items()]
        return join(entities.select(*keys, TIME), self.timeline).rename(self.output_name)


class AsofRetrievalJob(RetrievalJob):
    """Entity rows and timelines, joined when asked for, a chunk at a time."""

    def __init__(
        self,
        entities: EntityRows,
        event_time: str,
        joins: Sequence[ViewJoin],
        on_demand: list[OnDemandFeatureView],
        metadata: RetrievalMetadata,
        full_feature_names: bool,
        config: RepoConfig,
    ) -> None:
        super().__init__()
        self._entities = entities
        self._event_time = event_time
        self._joins = joins
        self._on_demand = on_demand
        self._metadata = metadata
        self._full_feature_names = full_feature_names
        self._config = config

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata:
        return self._metadata

    def _chunks(self) -> Iterator[pa.Table]:
        """Each chunk of entity rows with its features beside it."""
        for entities in entity_chunks(self._entities, self._config.offline_store.rows_per_chunk):
            moments = as_utc(pl.col(self._event_time)).alias(TIME)
            keys = {column for view in self._joins for column in view.entity_column.values()}
            asked = pl.from_arrow(entities.select([*keys, self._event_time]))
            assert isinstance(asked, pl.DataFrame)
            asked = asked.with_columns(moments)
            for view in self._joins:
                features = view.features_of(asked).to_arrow(compat_level=pl.CompatLevel.oldest())
                for name in features.column_names:
                    entities = entities.append_column(name, _plain(features[name]))
            yield entities

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return pa.concat_tables(self._chunks())

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Write the joined rows to a Parquet file, chunk by chunk, whole or not at all."""
        if not isinstance(storage, SavedDatasetFileStorage):
            raise NotImplementedError("a saved dataset of this store is a Parquet file")
        uri = storage.file_options.uri
        path = Path(FileSource.get_uri_for_file_path(self._config.repo_path, uri))
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=uri)
        write_parquet([self.to_arrow()] if self._on_demand else self._chunks(), path)


class QueryRetrievalJob(RetrievalJob):
    """A query of one source, run by DuckDB when asked for."""

    def __init__(self, query: str, parameters: Sequence[Any]) -> None:
        super().__init__()
        self._query, self._parameters = query, parameters

    @property
    def full_feature_names(self) -> bool:
        return False

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return []

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with connect() as connection:
            table = connection.execute(self._query, self._parameters).to_arrow_table()
        # Feast's conversion to protobuf reads only a table's first chunk.
        return table.combine_chunks()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()


class AsofOfflineStore(DuckDBOfflineStore):
    """Point-in-time joins by as-of join; what Feast reads back has the declared types."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: EntityRows | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> AsofRetrievalJob:
        """Read and order the views' sources; the join itself runs when the job is asked.

        Raises SourceError for a source that is not as declared, KeyError for a missing join key.
        """
        if entity_df is None:
            raise NotImplementedError("this store joins entity rows; give an entity_df")
        entities = with_parsed_times(entity_df)
        schema = next(entity_chunks(entities, 1)).schema
        kinds = {field.name: field.type.to_pandas_dtype() for field in schema}
        event_time = infer_event_timestamp_from_entity_df(kinds)
        joins = [
            _view_join(view, feature_refs, config, full_feature_names, filter_by_created_timestamp)
            for view in feature_views
        ]
        missing = {c for j in joins for c in j.entity_column.values()} - set(schema.names)
        if missing:
            raise KeyError(f"the entity rows have no column {', '.join(sorted(missing))}")
        oldest, newest = time_range(entities, event_time)
        metadata = RetrievalMetadata(
            features=feature_refs,
            keys=[name for name in schema.names if name != event_time],
            min_event_timestamp=oldest,
            max_event_timestamp=newest,
        )
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        return AsofRetrievalJob(
            entities, event_time, joins, on_demand, metadata, full_feature_names, config
        )

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
    ) -> QueryRetrievalJob:
        """The newest row of each entity from `start_date` to `end_date`, both included."""
        times = [name for name in (timestamp_field, created_timestamp_column) if name]
        newest_first = ", ".join(f'"{name}" DESC' for name in times)
        keys = ", ".join(f'"{key}"' for key in join_key_columns)
        partition = f"PARTITION BY {keys}" if keys else ""
        rows = _rows(join_key_columns, feature_name_columns, times)
        query = f"{rows} QUALIFY row_number() OVER ({partition} ORDER BY {newest_first}) = 1"
        return QueryRetrievalJob(query, [_file(data_source, config), start_date, end_date])

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
    ) -> QueryRetrievalJob:
        """Every row from `start_date` to `end_date`, both included; no date is no bound."""
        times = [name for name in (timestamp_field, created_timestamp_column) if name]
        query = _rows(join_key_columns, feature_name_columns, times)
        bounds = [start_date or datetime.min, end_date or datetime.max]
        return QueryRetrievalJob(query, [_file(data_source, config), *bounds])


def _rows(keys: Sequence[str], features: Sequence[str], times: Sequence[str]) -> str:
    """The columns of a source in a range of event times, its times in UTC microseconds."""
    plain = [f'"{name}"' for name in (*keys, *features)]
    in_utc = [f'CAST("{name}" AS TIMESTAMPTZ) AS "{name}"' for name in times]
    moment = f'CAST("{times[0]}" AS TIMESTAMPTZ)'
    return (
        f"SELECT {', '.join([*plain, *in_utc])} FROM read_parquet(?) "
        f"WHERE {moment} BETWEEN CAST(? AS TIMESTAMPTZ) AND CAST(? AS TIMESTAMPTZ)"
    )


def _file(source: DataSource, config: RepoConfig) -> str:
    assert isinstance(source, FileSource)
    return str(FileSource.get_uri_for_file_path(config.repo_path, source.path))


def _view_join(
    view: FeatureView,
    feature_refs: Sequence[str],
    config: RepoConfig,
    full_feature_names: bool,
    known_only: bool,
) -> ViewJoin:
    prefix = f"{view.projection.name_to_use()}:"
    features = [ref.removeprefix(prefix) for ref in feature_refs if ref.startswith(prefix)]
    keys = [entity.name for entity in view.entity_columns if not entity.name.startswith("__dummy")]
    renamed = view.projection.join_key_map
    name = view.projection.name_alias or view.name
    return ViewJoin(
        timeline(read_source(view, features, config), keys, view.ttl, known_only=known_only),
        {key: renamed.get(key, key) for key in keys},
        {f: f"{name}__{f}" if full_feature_names else f for f in features},
    )


def entity_chunks(entities: EntityRows, rows: int) -> Iterator[pa.Table]:
    """The entity rows as Arrow, `rows` at a time and in order; at least one chunk."""
    if isinstance(entities, str):
        with connect() as connection:
            reader = connection.execute(entities).to_arrow_reader(rows)
            yield from (pa.Table.from_batches([batch]) for batch in reader)
        return
    for start in range(0, max(len(entities), 1), rows):
        if isinstance(entities, pa.Table):
            yield entities.slice(start, rows)
        else:
            chunk = entities.iloc[start : start + rows]
            yield pa.Table.from_pandas(chunk, preserve_index=False)


def with_parsed_times(entities: EntityRows) -> EntityRows:
    """A pandas frame with its event times parsed, where they are text."""
    if isinstance(entities, pd.DataFrame) and "event_timestamp" in entities:
        times = entities["event_timestamp"].infer_objects()
        if times.dtype == object:
            return entities.assign(event_timestamp=pd.to_datetime(times, utc=True))
    return entities


def time_range(entities: EntityRows, event_time: str) -> tuple[datetime, datetime]:
    """The first and the last event time of the entity rows."""
    if isinstance(entities, pd.DataFrame):
        return entities[event_time].min(), entities[event_time].max()
    with connect() as connection:
        rows = f"({entities})" if isinstance(entities, str) else "entities"
        query = f'SELECT min("{event_time}"), max("{event_time}") FROM {rows}'
        oldest, newest = connection.execute(query).fetchall()[0]
    return oldest, newest


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB session in UTC."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def write_parquet(chunks: Iterator[pa.Table] | list[pa.Table], path: Path) -> None:
    """Write chunks to one file, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    writer = None
    try:
        for chunk in chunks:
            writer = writer or pq.ParquetWriter(beside, chunk.schema)
            writer.write_table(chunk)
        if writer:
            writer.close()
            beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """polars' large strings and binaries as Arrow's plain ones, as Feast expects them."""
    plain = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return column.cast(plain[column.type]) if column.type in plain else column
