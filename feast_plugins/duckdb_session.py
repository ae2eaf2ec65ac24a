"""DuckDB in UTC, for the plug-ins that pull rows or accept SQL."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa


def quoted(name: str) -> str:
    """Return a column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def instant(column: str, stored: pa.DataType) -> str:
    """Return SQL of a time column as a time in UTC; integers are Unix seconds, text ISO 8601."""
    name = quoted(column)
    if pa.types.is_integer(stored):
        return f"to_timestamp({name})"
    if not pa.types.is_string(stored) and not pa.types.is_large_string(stored):
        return f"CAST({name} AS TIMESTAMPTZ)"
    wrong = f"WHEN {name} IS NOT NULL THEN error({name} || $$ of {column} is not a time$$)"
    return f"coalesce(TRY_CAST({name} AS TIMESTAMPTZ), CASE {wrong} END)"


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
