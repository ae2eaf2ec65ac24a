"""Reads a feature view's Parquet source: its columns checked first, its types as declared."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, RepoConfig
from feast.infra.offline_stores.file_source import FileSource
from feast.type_map import feast_value_type_to_pa
from feast.types import FeastType

from feast_plugins.asof_join import CREATED, TIME


class SourceError(ValueError):
    """A view's source cannot be read as declared; names the view, the file and the column."""


def source_path(view: FeatureView, config: RepoConfig) -> str:
    """The file or folder of a view's source; a relative path begins at the repository."""
    source = view.batch_source
    if not isinstance(source, FileSource):
        raise SourceError(f"{view.name}: its source is a {type(source).__name__}, not a file")
    return str(FileSource.get_uri_for_file_path(config.repo_path, source.path))


def check_source(view: FeatureView, config: RepoConfig) -> pa.Schema:
    """The schema of a view's source, after checking that it holds what the view declares.

    Raises SourceError for a file that is missing, empty or unreadable, a column that is missing or
    of another kind, and times of which some have a zone and some have none.
    """
    path = Path(source_path(view, config))
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    try:
        metadata = [pq.ParquetFile(file) for file in files]
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{view.name}: {path} cannot be read: {error}") from error
    if not sum(file.metadata.num_rows for file in metadata):
        raise SourceError(f"{view.name}: {path} has no rows")
    schema = metadata[0].schema_arrow
    for name, column in source_columns(view).items():
        if column not in schema.names:
            raise SourceError(f"{view.name}: {path} has no column {column}, for {name}")
    _check_times(view, path, schema)
    for feature in view.features:
        _check_kind(view, path, schema.field(source_columns(view)[feature.name]), feature.dtype)
    return schema


def source_columns(view: FeatureView) -> dict[str, str]:
    """What the view calls each column, and what the source does."""
    source = view.batch_source
    original = {new: old for old, new in source.field_mapping.items()}
    names = [*view.join_keys, *(f.name for f in view.features), source.timestamp_field]
    names += [source.created_timestamp_column] if source.created_timestamp_column else []
    names = [name for name in names if not name.startswith("__dummy")]
    return {name: original.get(name, name) for name in names}


def _check_times(view: FeatureView, path: Path, schema: pa.Schema) -> None:
    source = view.batch_source
    times = [source.timestamp_field, source.created_timestamp_column]
    kinds = {name: schema.field(source_columns(view)[name]).type for name in times if name}
    for name, kind in kinds.items():
        if not pa.types.is_timestamp(kind):
            raise SourceError(f"{view.name}: {name} of {path} is {kind}, not a timestamp")
    if len({kind.tz is None for kind in kinds.values()}) > 1:
        zones = ", ".join(f"{name} {kind.tz or 'none'}" for name, kind in kinds.items())
        raise SourceError(f"{view.name}: the times of {path} differ in their zone: {zones}")


def _check_kind(view: FeatureView, path: Path, field: pa.Field, declared: FeastType) -> None:
    """Numbers may be widened or narrowed; anything else must be of the declared kind."""
    wanted = arrow_type(declared)
    if _kind(field.type) != _kind(wanted) and not pa.types.is_null(field.type):
        raise SourceError(
            f"{view.name}: {field.name} of {path} is {field.type}, declared as {declared}"
        )


def _kind(arrow: pa.DataType) -> str:
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow):
        return "number"
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"list of {_kind(arrow.value_type)}"
    return str(arrow).removeprefix("large_").split("[")[0]


def arrow_type(declared: FeastType) -> pa.DataType:
    """Arrow's type for a declared Feast type."""
    return feast_value_type_to_pa(declared.to_value_type())


def polars_type(declared: FeastType) -> pl.DataType:
    """polars' type for a declared Feast type."""
    empty = pl.from_arrow(pa.array([], arrow_type(declared)))
    assert isinstance(empty, pl.Series)
    return empty.dtype


def read_source(view: FeatureView, features: Sequence[str], config: RepoConfig) -> pl.DataFrame:
    """The view's rows: join keys, `features` in their declared types, TIME and CREATED in UTC.

    Raises SourceError as check_source does, before a row is read.
    """
    check_source(view, config)
    columns, source = source_columns(view), view.batch_source
    times = {TIME: source.timestamp_field}
    if source.created_timestamp_column:
        times[CREATED] = source.created_timestamp_column
    declared = {field.name: polars_type(field.dtype) for field in view.features}
    path = Path(source_path(view, config))
    scan = pl.scan_parquet(path / "**/*.parquet" if path.is_dir() else path)
    return scan.select(
        *(pl.col(columns[key]).alias(key) for key in view.join_keys if key in columns),
        *(as_utc(pl.col(columns[name])).alias(alias) for alias, name in times.items()),
        *(pl.col(columns[name]).cast(declared[name]).alias(name) for name in features),
    ).collect()


def as_utc(times: pl.Expr) -> pl.Expr:
    """Times as UTC microseconds without a zone; those that have no zone are UTC already."""
    return times.cast(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)
