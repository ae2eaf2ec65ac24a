"""DuckDB sessions of the data layer."""

from pathlib import Path

import duckdb

from lab.settings import settings


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Return a session in UTC, bounded in memory, which spills into the folder scratch."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    shown = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    if shown == [(True,)]:  # Jupyter without ipywidgets has none, and refuses to set it
        connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET memory_limit = '{settings.dataset_memory_gib}GiB'")
    connection.execute("SET temp_directory = ?", [str(scratch / "spill")])
    return connection


def count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    """Return the number of rows of a table, query or other expression after FROM."""
    counted = connection.execute(f"SELECT count(*) FROM {rows}").fetchone()
    assert counted is not None
    return int(counted[0])


def quoted(name: str) -> str:
    """Return a column's name, quoted in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | Path) -> str:
    """Return a text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"
