"""Reads a feature view's Parquet source: its columns checked first, its types as declared."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, RepoConfig
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.offline_stores.file_source import FileSource
from feast.types import Array, Bytes, FeastType, from_feast_to_pyarrow_type

from feast_plugins.asof_join import CREATED, TIME
from feast_plugins.parquet_files import parquet_files


class SourceError(ValueError):
    """A source cannot be read as declared; names the view, the file and the column."""


def source_path(view: FeatureView, config: RepoConfig) -> str:
    """The file or folder of a view's source; a relative path begins at the repository."""
    return str(file_path(view.name, view.batch_source, config))


def file_path(owner: str, source: DataSource, config: RepoConfig) -> Path:
    """The file or folder of a source; `owner` is named by the error.

    Raises SourceError for a source that is not a Parquet file or folder.
    """
    if not isinstance(source, FileSource):
        raise SourceError(f"{owner}: its source is a {type(source).__name__}, not a file")
    if not isinstance(source.file_format, ParquetFormat | None):
        raise SourceError(f"{owner}: {source.path} is not Parquet")
    return Path(FileSource.get_uri_for_file_path(config.repo_path, source.path))


def check_source(view: FeatureView, config: RepoConfig) -> pa.Schema:
    """The schema of a view's source, after checking that it holds what the view declares.

    Raises SourceError for a file that is missing, empty or unreadable, a column that is missing or
    of another kind, and times of which some have a zone and some have none.
    """
    path = file_path(view.name, view.batch_source, config)
    columns = source_columns(view)
    schemas = check_columns(view.name, view.batch_source, list(columns.values()), config)
    for file, schema in schemas.items():
        for feature in view.features:
            _check_kind(view, file, schema.field(columns[feature.name]), feature.dtype)
    return schemas[parquet_files(path)[0]]


def check_columns(
    owner: str, source: DataSource, columns: Sequence[str], config: RepoConfig
) -> dict[Path, pa.Schema]:
    """The schema of each file of a source, after checking that it has `columns`, and its times.

    Raises SourceError as check_source does.
    """
    path = file_path(owner, source, config)
    metadata = _metadata(owner, path)
    if not sum(file.num_rows for file in metadata.values()):
        raise SourceError(f"{owner}: {path} has no rows")
    schemas = {file: found.schema.to_arrow_schema() for file, found in metadata.items()}
    for file, schema in schemas.items():
        for column in columns:
            if column not in schema.names:
                raise SourceError(f"{owner}: {file} has no column {column}")
        _check_times(owner, file, schema, source)
    return schemas


def read_schema(owner: str, path: Path) -> pa.Schema:
    """The schema of a file, or of a folder's first; it may be without rows.

    Raises SourceError where there is no file, or one that cannot be read.
    """
    metadata = _metadata(owner, path)
    if not metadata:
        raise SourceError(f"{owner}: {path} has no files, so that its columns are not known")
    return next(iter(metadata.values())).schema.to_arrow_schema()


def _metadata(owner: str, path: Path) -> dict[Path, pq.FileMetaData]:
    try:
        return {file: pq.read_metadata(file) for file in parquet_files(path)}
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{owner}: {path} cannot be read: {error}") from error


def source_columns(view: FeatureView) -> dict[str, str]:
    """What the view calls each column, and what the source does."""
    source = view.batch_source
    original = {new: old for old, new in source.field_mapping.items()}
    names = [*view.join_keys, *(f.name for f in view.features), source.timestamp_field]
    names += [source.created_timestamp_column] if source.created_timestamp_column else []
    return {name: original.get(name, name) for name in names if name != DUMMY_ENTITY_ID}


def _check_times(owner: str, file: Path, schema: pa.Schema, source: DataSource) -> None:
    original = {new: old for old, new in source.field_mapping.items()}
    times = [source.timestamp_field, source.created_timestamp_column]
    columns = [original.get(name, name) for name in times if name]
    kinds = {name: schema.field(name).type for name in columns}
    for name, kind in kinds.items():
        if not pa.types.is_timestamp(kind):
            raise SourceError(f"{owner}: {name} of {file} is {kind}, not a timestamp")
    if len({kind.tz is None for kind in kinds.values()}) > 1:
        zones = ", ".join(f"{name} {kind.tz or 'none'}" for name, kind in kinds.items())
        raise SourceError(f"{owner}: the times of {file} differ in their zone: {zones}")


def _check_kind(view: FeatureView, file: Path, field: pa.Field, declared: FeastType) -> None:
    """Numbers may be widened or narrowed; anything else must be of the declared kind."""
    if not same_kind(field.type, arrow_type(declared)):
        raise SourceError(
            f"{view.name}: {field.name} of {file} is {field.type}, declared as {declared}"
        )


def same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type may stand for the other; a column without values always may."""
    return pa.types.is_null(found) or pa.types.is_null(wanted) or _kind(found) == _kind(wanted)


def _kind(arrow: pa.DataType) -> str:
    if pa.types.is_dictionary(arrow):
        return _kind(arrow.value_type)
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow):
        return "number"
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"list of {_kind(arrow.value_type)}"
    return str(arrow).removeprefix("large_").split("[")[0]


def arrow_type(declared: FeastType) -> pa.DataType:
    """Arrow's type for a declared Feast type; times are UTC microseconds."""
    if declared == Bytes:  # Feast's own table leaves it out
        return pa.binary()
    if isinstance(declared, Array) and declared.base_type == Bytes:
        return pa.list_(pa.binary())
    return from_feast_to_pyarrow_type(declared)


def _polars_type(arrow: pa.DataType) -> pl.DataType:
    plain = arrow.value_type if pa.types.is_dictionary(arrow) else arrow
    empty = pl.from_arrow(pa.array([], plain))
    assert isinstance(empty, pl.Series)
    return empty.dtype


def read_source(view: FeatureView, features: Sequence[str], config: RepoConfig) -> pl.DataFrame:
    """The view's rows: join keys, `features` in their declared types, TIME and CREATED in UTC.

    Raises SourceError as check_source does, before a row is read, and for a value that has no place
    in the declared type.
    """
    schema, columns = check_source(view, config), source_columns(view)
    declared = {field.name: arrow_type(field.dtype) for field in view.features}
    types = {key: schema.field(columns[key]).type for key in view.join_keys if key in columns}
    types |= {name: declared[name] for name in features}
    path = file_path(view.name, view.batch_source, config)
    try:
        return pl.concat(_rows(file, view, types) for file in parquet_files(path)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{view.name}: {path} cannot be read as declared: {error}") from error


def _rows(file: Path, view: FeatureView, types: dict[str, pa.DataType]) -> pl.LazyFrame:
    columns, source = source_columns(view), view.batch_source
    times = {TIME: source.timestamp_field, CREATED: source.created_timestamp_column}
    scan = pl.scan_parquet(file)
    found = scan.collect_schema()
    return scan.select(
        *(as_utc(pl.col(columns[name])).alias(alias) for alias, name in times.items() if name),
        *(_cast(columns[n], found[columns[n]], _polars_type(t)).alias(n) for n, t in types.items()),
    )


def _cast(column: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """A column in another type; polars raises for what has no place there, but cuts fractions."""
    value = pl.col(column)
    if found.is_float() and wanted.is_integer():
        value = pl.when(value != value.floor()).then(float("nan")).otherwise(value)
    return value.cast(wanted)


def as_utc(times: pl.Expr) -> pl.Expr:
    """Times as UTC microseconds without a zone; those that have no zone are UTC already."""
    return times.cast(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)
