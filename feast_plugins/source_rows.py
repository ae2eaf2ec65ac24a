"""The rows of a source: pulled for a materialization or a saved dataset, and appended."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
from feast import RepoConfig
from feast.data_source import DataSource
from feast.feature_logging import LOG_DATE_FIELD
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

from feast_plugins.duckdb_session import instant, quoted
from feast_plugins.feature_source import CheckedSource, check_columns, key_type, promoted_type
from feast_plugins.parquet_files import LOCAL, append_rows_to
from feast_plugins.retrieval_jobs import ROWS, QueryJob
from feast_plugins.source_files import SourceError, source_files
from feast_plugins.source_reader import read_columns

TIMES = pa.timestamp("us")


def rows_between(
    config: RepoConfig,
    source: DataSource,
    keys: Sequence[str],
    features: Sequence[str],
    time_fields: Sequence[str | None],
    start: datetime | None,
    end: datetime | None,
    *,
    newest: bool = False,
) -> QueryJob:
    """Return every row in a range of event times, or the newest of each entity.

    `time_fields` are those of the event time and the created time, if there is one; they are
    returned as UTC microseconds. Rows without keys get Feast's dummy key, under which it
    materializes a view without entities. Logged features get none; their date is left out.
    Raises SourceError.
    """
    is_log, times = LOG_DATE_FIELD in features, [name for name in time_fields if name]
    features = [name for name in features if name != LOG_DATE_FIELD]
    dummy = [] if is_log else [f"'{DUMMY_ENTITY_VAL}' AS {DUMMY_ENTITY_ID}"]
    key = [*map(quoted, keys)] or dummy
    checked = check_columns(source.name, source, [*keys, *features, *times], config)
    is_simple = _is_read_by_duckdb(checked)
    instants = {n: instant(n, checked.types[n] if is_simple else TIMES) for n in times}
    in_utc = [f"{cast} AS {quoted(name)}" for name, cast in instants.items()]
    query = f"""
        SELECT {", ".join([*key, *map(quoted, features), *in_utc])}
        FROM {"read_parquet(?, hive_partitioning = false)" if is_simple else ROWS}
        WHERE {instants[times[0]]}
            BETWEEN CAST(? AS TIMESTAMPTZ) AND CAST(? AS TIMESTAMPTZ)
        {_newest_of_each(keys, times) if newest else ""}
    """
    bounds = [start or datetime.min, end or datetime.max]
    if is_simple:
        return QueryJob(config, query, [list(checked.files.names), *bounds])
    return QueryJob(config, query, bounds, lambda: _promoted_rows(checked, keys, features, times))


def _is_read_by_duckdb(checked: CheckedSource) -> bool:
    """Return True if DuckDB reads the files as checked: on the disk, alike, without partitions."""
    has_partitions = bool(checked.files.partitions.keys() & checked.types.keys())
    return checked.files.filesystem is None and checked.is_alike and not has_partitions


def _newest_of_each(keys: Sequence[str], times: Sequence[str]) -> str:
    newest_first = ", ".join(f"{quoted(name)} DESC NULLS LAST" for name in times)
    partition = f"PARTITION BY {', '.join(map(quoted, keys))}" if keys else ""
    return f"QUALIFY row_number() OVER ({partition} ORDER BY {newest_first}) = 1"


def _promoted_rows(
    checked: CheckedSource, keys: Sequence[str], features: Sequence[str], times: Sequence[str]
) -> pa.Table:
    """Read the rows of files that differ, or that are in S3; all are in memory."""
    plain = [name for name in [*keys, *features] if name not in times]
    types = {n: key_type(checked, n) if n in keys else promoted_type(checked, n) for n in plain}
    source = CheckedSource(checked.files, checked.schemas, types)
    rows = read_columns(source, {n: n for n in plain}, {n: n for n in times})
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


def append_rows(owner: str, source: DataSource, rows: pa.Table, config: RepoConfig) -> None:
    """Add rows to a source; raises SourceError for rows of other columns, or that do not fit."""
    files = source_files(owner, source, config)
    stored = next(iter(files.schemas().values()))
    schema = pa.schema([field for field in stored if field.name not in files.partitions])
    if files.filesystem is None and not Path(files.path).exists():
        raise SourceError(f"{owner}: {files.path} is a pattern; rows need a file or a folder")
    if set(rows.column_names) != set(schema.names):
        raise SourceError(
            f"{owner}: {files.path} has {', '.join(schema.names)}; "
            f"the rows have {', '.join(rows.column_names)}"
        )
    rows = rows.select(schema.names)
    for name, given, wanted in zip(schema.names, rows.schema.types, schema.types, strict=True):
        if pa.types.is_timestamp(given) and pa.types.is_integer(wanted):  # Arrow: microseconds
            raise SourceError(f"{owner}: {name} of {files.path} is {wanted}, the rows have times")
    try:
        path = files.path.removeprefix("s3://")
        append_rows_to(path, rows.cast(schema), files.filesystem or LOCAL)
    except (ValueError, TypeError, NotImplementedError) as error:  # Arrow's are of these
        reason = str(error).partition("\n")[0]
        raise SourceError(f"{owner}: {files.path} cannot hold the rows: {reason}") from error
