"""Results of the offline store: rows in chunks, computed when they are read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pandas as pd
import polars as pl
import pyarrow as pa
from feast import OnDemandFeatureView, RepoConfig
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.saved_dataset import SavedDatasetStorage, ValidationReference
from pyarrow.fs import FileType

from feast_plugins.asof_join import TIME, in_order
from feast_plugins.duckdb_session import connect, tables
from feast_plugins.entity_rows import EntityRows, FrameRows
from feast_plugins.parquet_files import LOCAL, replace_table
from feast_plugins.source_files import file_system, file_uri
from feast_plugins.source_types import as_utc
from feast_plugins.view_join import ViewJoin

ROWS = "source_rows"


class ChunkedJob(RetrievalJob):
    """A job whose rows come in chunks, so that writing them needs memory for one chunk."""

    def __init__(
        self,
        config: RepoConfig,
        metadata: RetrievalMetadata | None = None,
        on_demand: Sequence[OnDemandFeatureView] = (),
        full_feature_names: bool = False,
    ) -> None:
        super().__init__()
        self._config = config
        self._metadata = metadata
        self._on_demand = list(on_demand)
        self._full_feature_names = full_feature_names

    def _chunks(self) -> Iterator[pa.Table]:
        """Yield the rows before on-demand views, in order; at least one chunk."""
        raise NotImplementedError

    @property
    def _rows_per_chunk(self) -> int:
        return int(self._config.offline_store.rows_per_chunk)

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata

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
        """Write the rows as Parquet, chunk by chunk, and replace the file that is there.

        With on-demand views all rows are in memory at once: Feast computes those on whole tables.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise NotImplementedError("a saved dataset of this store is Parquet")
        location = storage.file_options.uri
        uri = file_uri(location, self._config)
        filesystem, path = file_system(uri, storage.to_data_source())
        filesystem = filesystem or LOCAL
        exists = filesystem.get_file_info(path).type != FileType.NotFound
        if exists and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=location)
        chunks = [self.to_arrow()] if self._on_demand else self._chunks()
        replace_table(chunks, path, filesystem)

    def supports_remote_storage_export(self) -> bool:
        return bool(self._config.offline_store.staging_location)

    def to_remote_storage(self) -> list[str]:
        """Write the rows as a Parquet file below `staging_location`, and return its address."""
        options = self._config.offline_store
        if not options.staging_location:
            raise ValueError("to_remote_storage needs staging_location, of offline_store")
        location = f"{options.staging_location.rstrip('/')}/{uuid4()}.parquet"
        endpoint = options.staging_location_endpoint_override or ""
        self.persist(SavedDatasetFileStorage(location, s3_endpoint_override=endpoint))
        return [location]


class QueryJob(ChunkedJob):
    """A query of one source, run by DuckDB; `read` returns the rows, which it reads as ROWS."""

    def __init__(
        self,
        config: RepoConfig,
        query: str,
        parameters: Sequence[Any],
        read: Callable[[], pa.Table] | None = None,
    ) -> None:
        super().__init__(config)
        self._query, self._parameters, self._read = query, parameters, read

    def _chunks(self) -> Iterator[pa.Table]:
        with connect() as connection:
            if self._read:
                connection.register(ROWS, self._read())
            answer = connection.execute(self._query, self._parameters)
            yield from tables(answer.to_arrow_reader(self._rows_per_chunk))

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        # Feast's conversion to protobuf reads only a table's first chunk.
        return super()._to_arrow_internal(timeout).combine_chunks()


class AsofJob(ChunkedJob):
    """Entity rows, joined with each view's timeline."""

    def __init__(self, entities: EntityRows, joins: Sequence[ViewJoin], *job: Any) -> None:
        super().__init__(*job)
        self._entities = entities
        self._joins = joins

    def _chunks(self) -> Iterator[pa.Table]:
        for rows in self._entities.chunks(self._entities.names, self._rows_per_chunk):
            yield with_features(rows, self._features_of(rows))

    def to_df(
        self,
        validation_reference: ValidationReference | None = None,
        timeout: int | None = None,
    ) -> pd.DataFrame:
        """Return the user's own pandas columns, untouched, joined with the features."""
        entities = self._entities
        if validation_reference or self._on_demand or not isinstance(entities, FrameRows):
            return super().to_df(validation_reference, timeout)
        chunks = entities.chunks(self._join_columns, self._rows_per_chunk)
        features = pa.concat_tables(map(self._features_of, chunks)).to_pandas()
        return pd.concat([entities.frame, features], axis=1)

    @property
    def _join_columns(self) -> list[str]:
        keys = {column for view in self._joins for column in view.entity_column.values()}
        return [*keys, self._entities.event_time]

    def _features_of(self, rows: pa.Table) -> pa.Table:
        entities = pl.from_arrow(rows.select(self._join_columns))
        assert isinstance(entities, pl.DataFrame)
        moments = in_order(entities.select(as_utc(pl.col(self._entities.event_time)).alias(TIME)))
        pairs = (pair for view in self._joins for pair in view.features_of(entities, moments))
        return pa.table(dict(pairs))


def with_features(rows: pa.Table, features: pa.Table) -> pa.Table:
    """Return rows with the columns of their features."""
    for name in features.column_names:
        rows = rows.append_column(name, features[name])
    return rows
