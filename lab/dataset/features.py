"""Feature tables, computed from the raw events: one SQL query each, in sql/."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from lab.dataset.tables import FEATURE_TABLES, RAW_TABLES, publish, staging
from lab.settings import settings

SQL = Path(__file__).parent / "sql"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def build_feature_tables(data_dir: Path, as_of: datetime) -> dict[str, int]:
    """Compute the five feature tables of data_dir as they stood at as_of; return their row counts.

    A raw table that is absent (product_views, chargebacks, refunds) gives null features.
    """
    with staging(data_dir) as stage, connect(stage) as connection:
        open_raw_tables(connection, data_dir, as_of)
        rows = {table: write_table(connection, table, stage) for table in FEATURE_TABLES}
        publish(stage, data_dir)
    return rows


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB session in UTC, bounded in memory, which spills into the folder scratch."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{settings.dataset_memory_gib}GiB'")
    connection.execute("SET temp_directory = ?", [str(scratch / "spill")])
    return connection


def open_raw_tables(connection: duckdb.DuckDBPyConnection, data_dir: Path, as_of: datetime) -> None:
    """Make views of the raw events (amounts in cents), and say what the macros need to know."""
    present = [table for table in RAW_TABLES if (data_dir / f"{table}.parquet").exists()]
    variables = {
        "present": present,
        "as_of_us": microseconds(as_of - EPOCH),
        "arrival_us": microseconds(settings.arrival_delay),
        "late_arrival_us": microseconds(settings.late_arrival_delay),
        "streaming_us": microseconds(settings.streaming_delay),
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    connection.execute((SQL / "macros.sql").read_text())
    for table, schema in RAW_TABLES.items():
        if table in present:
            source = str(data_dir / f"{table}.parquet").replace("'", "''")
            cents = (
                ", CAST(round(amount * 100) AS BIGINT) AS cents" if "amount" in schema.names else ""
            )
            connection.execute(
                f"CREATE VIEW {table} AS SELECT *{cents} FROM read_parquet('{source}')"
            )
        else:
            connection.register(table, schema.empty_table())


def write_table(connection: duckdb.DuckDBPyConnection, table: str, folder: Path) -> int:
    """Run the query of one feature table into folder; return its number of rows."""
    query = (SQL / f"{table}.sql").read_text()
    target = str(folder / f"{table}.parquet").replace("'", "''")
    counted = connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet)").fetchone()
    assert counted is not None
    return int(counted[0])


def microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
