"""Read the rows of a materialization from Parquet: the newest row of each entity, in batches."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, RepoConfig
from feast.infra.common.materialization_job import MaterializationTask

from feast_plugins.duckdb_session import connect
from feast_plugins.feature_source import source_columns, source_path
from feast_plugins.parquet_files import parquet_files

ROWS_PER_PARTITION = 4_000_000
ROWS_PER_BATCH = 20_000

# Feast selects the rows that happened in the interval. Rows that happened before and arrived
# since its start belong to it as well: no other run would select them. Rows that arrive after
# $known are not visible yet.
NEWEST = """
SELECT {columns}
FROM read_parquet($files, union_by_name = true, hive_partitioning = false)
WHERE {happened} <= $end AND ({happened} >= $start OR {created} > $start)
  AND {created} <= $known AND {has_key} AND {partition}
QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest_first}) = 1
"""

LEFT_OUT = """
SELECT count(*), max({created})
FROM read_parquet($files, union_by_name = true, hive_partitioning = false)
WHERE {happened} BETWEEN $start AND $end AND {created} > $known AND {has_key}
"""


@dataclass(frozen=True)
class SourceRows:
    """The rows of a view's source that one run reads; DuckDB uses `memory_limit` at most."""

    task: MaterializationTask
    config: RepoConfig
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
        """Yield the newest row of each entity, one hash partition of the keys at a time."""
        rows = sum(pq.ParquetFile(file).metadata.num_rows for file in self._files)
        partitions = 1 + rows // ROWS_PER_PARTITION
        with self._connection() as connection:
            for partition in range(partitions):
                query = self._query(NEWEST, partition, partitions)
                yield from connection.execute(query, self._interval).to_arrow_reader(ROWS_PER_BATCH)

    def left_out(self) -> tuple[int, datetime | None]:
        """Return how many rows of the interval were created after `known_until`, and the latest."""
        if not self.task.feature_view.batch_source.created_timestamp_column:
            return 0, None
        with self._connection() as connection:
            found = connection.execute(self._query(LEFT_OUT), self._interval).fetchone()
        return found or (0, None)

    @cached_property
    def _files(self) -> list[Path]:
        return parquet_files(Path(source_path(self.task.feature_view, self.config)))

    @property
    def _interval(self) -> dict[str, object]:
        return {
            "files": [str(file) for file in self._files],
            "start": self.task.start_time,
            "end": self.task.end_time,
            "known": self.known_until,
        }

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with tempfile.TemporaryDirectory() as spill, connect() as connection:
            connection.execute("SET memory_limit = ?", [self.memory_limit])
            connection.execute("SET temp_directory = ?", [spill])
            yield connection

    def _query(self, template: str, partition: int = 0, partitions: int = 1) -> str:
        return _query(template, self.task.feature_view, partition, partitions)


def _query(template: str, view: FeatureView, partition: int, partitions: int) -> str:
    source, names = view.batch_source, source_columns(view)
    keys = [f'"{names[key]}"' for key in view.join_keys]
    times = [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
    in_utc = {name: f'CAST("{names[name]}" AS TIMESTAMPTZ)' for name in times}
    happened = in_utc[times[0]]
    plain = [f'"{own}" AS "{name}"' for name, own in names.items() if name not in in_utc]
    return template.format(
        columns=", ".join([*plain, *(f'{cast} AS "{name}"' for name, cast in in_utc.items())]),
        happened=happened,
        created=f"coalesce({in_utc[times[-1]]}, {happened})",
        has_key=" AND ".join(f"{key} IS NOT NULL" for key in keys),
        partition=f"hash({', '.join(keys)}) % {partitions} = {partition}",
        keys=", ".join(keys),
        newest_first=", ".join(f"{cast} DESC" for cast in in_utc.values()),
    )
