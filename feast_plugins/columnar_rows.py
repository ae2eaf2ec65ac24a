"""Read the rows of a materialization from Parquet: the newest row of each entity, in batches."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationTask
from feast.types import Int32, Int64

from feast_plugins.duckdb_session import connect, instant, quoted
from feast_plugins.feature_source import CheckedSource, SourceError, source_columns, time_names
from feast_plugins.source_types import convert, kind, polars_type

ROWS_PER_PARTITION = 4_000_000
ROWS_PER_BATCH = 20_000
COLUMNS_OF_THREADS = 2_000  # of all threads together: each needs memory for each column

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
        except duckdb.OutOfMemoryException as error:
            raise SourceError(
                f"{self.source.files.owner}: its rows need more than {self.memory_limit}; "
                "give batch_engine a higher memory_limit, in feature_store.yaml"
            ) from error
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
        if not created:
            return 0, None
        with self._connection() as connection:
            found = connection.execute(self._query(LEFT_OUT), self._parameters).fetchone()
        return found or (0, None)

    @cached_property
    def _files(self) -> dict[tuple[str, ...], list[str]]:
        """Return the files by the SQL that converts their keys and times to those of the others."""
        view, columns = self.task.feature_view, source_columns(self.task.feature_view)
        keys = [columns[of.name] for of in view.entity_columns if of.dtype in (Int32, Int64)]
        files: dict[tuple[str, ...], list[str]] = {}
        for file, schema in self.source.schemas.items():
            kinds = {name: kind(schema.field(name).type) for name in columns.values()}
            others = [key for key in keys if kinds[key] in ("float", "decimal")]
            replaced = [INTEGER.format(key=quoted(key), name=key) for key in others]
            seconds = [time for time in self._mixed_times if kinds[time] == "integer"]
            replaced += [f"to_timestamp({quoted(time)}) AS {quoted(time)}" for time in seconds]
            files.setdefault(tuple(replaced), []).append(file)
        return files

    @cached_property
    def _mixed_times(self) -> list[str]:
        """Return the columns of times that some of the files have as Unix seconds."""
        view, columns = self.task.feature_view, source_columns(self.task.feature_view)
        times = {columns[name] for name in time_names(view.batch_source)}
        kinds = {time: set(map(kind, self.source.types_of(time).values())) for time in times}
        return [time for time in sorted(times) if {"integer"} < kinds[time]]

    @property
    def _rows(self) -> str:
        """Return a query of all files in which a key, and a time, has one type."""
        queries = []
        for number, replaced in enumerate(self._files):
            columns = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
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
            threads = COLUMNS_OF_THREADS // len(self.source.types)
            (cores,) = connection.execute("SELECT current_setting('threads')").fetchone() or (1,)
            connection.execute("SET threads = ?", [min(max(threads, 1), cores)])
            connection.execute("SET memory_limit = ?", [self.memory_limit])
            connection.execute("SET temp_directory = ?", [spill])
            yield connection

    def _query(self, template: str, partition: int = 0, partitions: int = 1) -> str:
        stored = next(iter(self.source.schemas.values()))
        types = dict(zip(stored.names, stored.types, strict=True))
        types |= dict.fromkeys(self._mixed_times, pa.timestamp("us"))
        place = f"% {partitions} = {partition}"
        return _query(template, self.task.feature_view, types, self._rows, place)


def _items(of: pa.DataType) -> str:
    return kind(of.value_type) if kind(of) == "list" else ""


def _converted(lists: pa.Array, wanted: pa.DataType) -> pa.Array:
    if lists.null_count == len(lists):  # DuckDB reads a column without values as INTEGER
        return pa.nulls(len(lists), wanted)
    values = pl.Series("", lists).to_frame()
    converted = values.select(convert(pl.col(""), values.schema[""], polars_type(wanted)))
    return converted.to_series().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(wanted)


def _query(
    template: str, view: FeatureView, types: Mapping[str, pa.DataType], rows: str, place: str
) -> str:
    names, times = source_columns(view), time_names(view.batch_source)
    keys = [quoted(names[key]) for key in view.join_keys]
    in_utc = {n: instant(names[n], types[names[n]]) for n in times}
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
