"""DuckDB in UTC, for the plug-ins that pull rows or take SQL."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa


def connect(repo_path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB session in UTC; with `repo_path`, relative files are looked for there first."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if repo_path:
        connection.execute("SET file_search_path = ?", [str(repo_path)])
    return connection


def tables(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Each batch as a table; one without rows if there is none, so that the columns are known."""
    yield from (pa.Table.from_batches([batch]) for batch in batches if batch.num_rows)
    yield batches.schema.empty_table()
