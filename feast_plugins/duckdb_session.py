"""DuckDB in UTC, for the plug-ins that pull rows or accept SQL."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa


def connect(repo_path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB session in UTC; with `repo_path`, it looks for relative files there first."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if repo_path:
        connection.execute("SET file_search_path = ?", [str(repo_path)])
    return connection


def tables(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yield each batch as a table, then an empty table, so that the columns are known."""
    yield from (pa.Table.from_batches([batch]) for batch in batches if batch.num_rows)
    yield batches.schema.empty_table()
