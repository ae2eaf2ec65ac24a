"""Read the rows of a materialization from Parquet: the newest row of each entity, in batches."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationTask
from feast.types import Int32, Int64
from feast.utils import make_tzaware

from feast_plugins.duckdb_session import connect, instant, quoted
from feast_plugins.feature_source import CheckedSource, SourceError, source_columns, time_names
from feast_plugins.source_types import NUMBERS, convert, kind, polars_type

ROWS_PER_PARTITION = 4_000_000
ROWS_PER_BATCH = 20_000

# Feast selects the rows that happened in the interval. Rows that happened before and arrived
# since its start belong to it as well: no other run would select them. Rows that arrive after
# $known are not visible yet.
NEWEST = """
SELECT {columns}
FROM ({rows})
WHERE {happened} <= $end AND ({happened} >= $start OR {created} > $start)
  AND {created} <= $known AND {has_key} AND {partition}
QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest_first}) = 1
"""

LEFT_OUT = """
SELECT count(*), max({created})
FROM ({rows})
WHERE {happened} BETWEEN $start AND $end AND {created} > $known AND {has_key}
"""

FILES = """
SELECT {columns}
FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false{filename}) {join}
"""

FILE = "feast_plugins.file"
FILENAME, JOIN = f", filename = '{FILE}'", f'JOIN partitions USING ("{FILE}")'

# DuckDB would read a key as DOUBLE if one file has it as such, and make 2**53 and 2**53 + 1 one key
INTEGER = """
CASE WHEN isnan(CAST({key} AS DOUBLE)) THEN NULL
  WHEN {key} = floor({key}) THEN CAST({key} AS BIGINT)
  ELSE error(CAST({key} AS VARCHAR) || $$ of {name} is not an integer$$) END AS {key}
"""


@dataclass(frozen=True)
class SourceRows:
    """The rows of a view's source that one run reads; DuckDB uses `memory_limit` at most."""

    task: MaterializationTask
    source: CheckedSource
    memory_limit: str

    @property
    def known_until(self) -> datetime:
        """Return the latest created time of the rows that this run reads.

        It is the end of this run, or of any run before it. So a run ignores the rows of a later one
        and a backfill of an old interval reads the corrections that are stored already.
        """
        last_run: datetime | None = self.task.feature_view.most_recent_end_time
        end: datetime = self.task.end_time
        return max(end, last_run) if last_run else end

    def newest(self) -> Iterator[pa.RecordBatch]:
        """Yield the newest row of each entity, one hash partition of the keys at a time.

        Raises SourceError for values that cannot be read as declared.
        """
        rows = sum(pq.read_metadata(file).num_rows for file in self.source.files.names)
        partitions = 1 + rows // ROWS_PER_PARTITION
        try:
            with self._connection() as connection:
                for partition in range(partitions):
                    query = self._query(NEWEST, partition, partitions)
                    answer = connection.execute(query, self._parameters)
                    yield from map(self._with_lists, answer.to_arrow_reader(ROWS_PER_BATCH))
        except (duckdb.Error, pa.ArrowException, pl.exceptions.PolarsError) as error:
            files = self.source.files
            raise SourceError(f"{files.owner}: {files.path} cannot be read: {error}") from error

    def _with_lists(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Convert lists whose items are of another kind than declared, or that have only nulls."""
        columns = source_columns(self.task.feature_view)
        for place, name in enumerate(batch.schema.names):
            wanted = self.source.types[columns[name]]
            if pa.types.is_list(wanted) and _items(batch[name].type) != _items(wanted):
                batch = batch.set_column(place, name, _converted(batch[name], wanted))
        return batch

    def left_out(self) -> tuple[int, datetime | None]:
        """Return how many rows of the interval were created after `known_until`, and the latest."""
        created = self.task.feature_view.batch_source.created_timestamp_column
        if not created or self._has_all(source_columns(self.task.feature_view)[created]):
            return 0, None
        with self._connection() as connection:
            found = connection.execute(self._query(LEFT_OUT), self._parameters).fetchone()
        return found or (0, None)

    def _has_all(self, created: str) -> bool:
        """Return True if the footers of the files show that no row was created too late."""
        footers = map(pq.read_metadata, self.source.files.names)
        latest = [time for footer in footers for time in _latest(footer, created)]
        return all(time is not None and time <= make_tzaware(self.known_until) for time in latest)

    @cached_property
    def _files(self) -> dict[tuple[str, ...], list[str]]:
        """Return the files by the integer keys that they store as other numbers."""
        files: dict[tuple[str, ...], list[str]] = {}
        for file in self.source.files.names:
            files.setdefault(tuple(self._other_numbers(file)), []).append(file)
        return files

    def _other_numbers(self, file: str) -> Iterator[str]:
        columns = source_columns(self.task.feature_view)
        for key in (columns[name] for name in self.task.feature_view.join_keys):
            found = kind(self.source.schemas[file].field(key).type)
            if key in self._integer_keys and found in NUMBERS - {"integer"}:
                yield key

    @property
    def _integer_keys(self) -> set[str]:
        view, columns = self.task.feature_view, source_columns(self.task.feature_view)
        declared = (field for field in view.entity_columns if field.dtype in (Int32, Int64))
        return {columns[field.name] for field in declared}

    @property
    def _rows(self) -> str:
        """Return a query of all files in which a key has one type."""
        queries = []
        for number, keys in enumerate(self._files):
            replaced = ", ".join(INTEGER.format(key=quoted(key), name=key) for key in keys)
            columns = f"* REPLACE ({replaced})" if keys else "*"
            name, join = (FILENAME, JOIN) if self.source.files.partitions else ("", "")
            files = f"files_{number}"
            queries.append(FILES.format(columns=columns, files=files, filename=name, join=join))
        return " UNION ALL BY NAME ".join(queries)

    @property
    def _parameters(self) -> dict[str, object]:
        return {
            **{f"files_{number}": files for number, files in enumerate(self._files.values())},
            "start": self.task.start_time,
            "end": self.task.end_time,
            "known": self.known_until,
        }

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with tempfile.TemporaryDirectory() as spill, connect() as connection:
            files = {FILE: self.source.files.names, **self.source.files.partitions}
            connection.register("partitions", pa.table(files))
            connection.execute("SET memory_limit = ?", [self.memory_limit])
            connection.execute("SET temp_directory = ?", [spill])
            yield connection

    def _query(self, template: str, partition: int = 0, partitions: int = 1) -> str:
        stored = next(iter(self.source.schemas.values()))
        place = f"% {partitions} = {partition}"
        return _query(template, self.task.feature_view, stored, self._rows, place)


def _latest(footer: pq.FileMetaData, column: str) -> Iterator[pd.Timestamp | None]:
    """Yield the latest time of each row group, in UTC; None where it is not known."""
    paths = [footer.schema.column(place).path for place in range(footer.num_columns)]
    if column not in paths:  # a partition
        yield None
        return
    for number in range(footer.num_row_groups):
        statistics = footer.row_group(number).column(paths.index(column)).statistics
        if statistics is None or not statistics.has_min_max:
            yield None
        else:
            latest = statistics.max  # of text, the greatest is not the latest
            yield pd.to_datetime(latest, utc=True) if isinstance(latest, date) else None


def _items(of: pa.DataType) -> str:
    return kind(of.value_type) if kind(of) == "list" else ""


def _converted(lists: pa.Array, wanted: pa.DataType) -> pa.Array:
    if lists.null_count == len(lists):  # DuckDB reads a column without values as INTEGER
        return pa.nulls(len(lists), wanted)
    values = pl.Series("", lists).to_frame()
    converted = values.select(convert(pl.col(""), values.schema[""], polars_type(wanted)))
    return converted.to_series().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(wanted)


def _query(template: str, view: FeatureView, stored: pa.Schema, rows: str, place: str) -> str:
    names, times = source_columns(view), time_names(view.batch_source)
    keys = [quoted(names[key]) for key in view.join_keys]
    in_utc = {n: instant(names[n], stored.field(names[n]).type) for n in times}
    happened = in_utc[times[0]]
    plain = [f"{quoted(own)} AS {quoted(n)}" for n, own in names.items() if n not in in_utc]
    return template.format(
        rows=rows,
        columns=", ".join([*plain, *(f"{cast} AS {quoted(n)}" for n, cast in in_utc.items())]),
        happened=happened,
        created=f"coalesce({in_utc[times[-1]]}, {happened})",
        has_key=" AND ".join(f"{key} IS NOT NULL" for key in keys),
        partition=f"hash({', '.join(keys)}) {place}",
        keys=", ".join(keys),
        newest_first=", ".join(f"{cast} DESC" for cast in in_utc.values()),
    )
