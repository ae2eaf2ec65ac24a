"""Feature tables, computed from the raw events: one SQL query each, in sql/."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from lab.dataset.progress import track
from lab.dataset.session import connect, count, literal
from lab.dataset.tables import FEATURE_TABLES, RAW_TABLES, publish, staging
from lab.errors import UserError
from lab.settings import settings

SQL = Path(__file__).parent / "sql"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENTS_OF = {
    "user": ["transactions"],
    "merchant": ["transactions", "chargebacks", "refunds"],
    "product": ["transactions", "product_views"],
}
SIMULATE = "lab data simulate"
EVENTS_AT_ONCE = 2_000_000


def build_feature_tables(data_dir: Path, as_of: datetime) -> dict[str, int]:
    """Compute the five feature tables of data_dir as they stood at as_of; return their row counts.

    A raw table that is absent (product_views, chargebacks, refunds) gives null features. Rows are
    ordered by entity, then by event_timestamp.
    """
    if not (data_dir / "transactions.parquet").exists():
        raise UserError(f"no data yet: {data_dir / 'transactions.parquet'} is missing", SIMULATE)
    with staging(data_dir) as stage, connect(stage) as connection:
        set_variables(connection, data_dir, as_of)
        load_events(connection, data_dir)
        rows = {table: write_table(connection, table, stage) for table in FEATURE_TABLES}
        publish(stage, data_dir)
    return rows


def set_variables(connection: duckdb.DuckDBPyConnection, data_dir: Path, as_of: datetime) -> None:
    """Set the variables that the macros read."""
    variables = {
        "present": [table for table in RAW_TABLES if (data_dir / f"{table}.parquet").exists()],
        "as_of_us": microseconds(as_of - EPOCH),
        "arrival_us": microseconds(settings.arrival_delay),
        "late_arrival_us": microseconds(settings.late_arrival_delay),
        "streaming_us": microseconds(settings.streaming_delay),
        "session_gap_us": microseconds(settings.session_gap),
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    connection.execute((SQL / "macros.sql").read_text())


def load_events(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Load the raw events; numbers stand for the ids of entities, in the order of the ids."""
    for table, schema in RAW_TABLES.items():
        file = data_dir / f"{table}.parquet"
        if file.exists():
            rows = f"read_parquet({literal(file)}, file_row_number = true)"
            connection.execute(f"CREATE VIEW raw_{table} AS SELECT * FROM {rows}")
        else:
            connection.register(f"raw_{table}", schema.empty_table())
    connection.execute((SQL / "events.sql").read_text())


def write_table(connection: duckdb.DuckDBPyConnection, table: str, folder: Path) -> int:
    """Run the query of one feature table, some entities at a time; return its number of rows."""
    query = (SQL / f"{table}.sql").read_text()
    entity = table.split("_")[0]
    file = folder / f"{table}.parquet"
    with pq.ParquetWriter(file, FEATURE_TABLES[table], compression="zstd") as writer:
        for first, end in track(entity_ranges(connection, entity), table):
            select_events(connection, entity, first, end)
            writer.write_table(connection.execute(query).to_arrow_table())
    return int(pq.read_metadata(file).num_rows)


def entity_ranges(connection: duckdb.DuckDBPyConnection, entity: str) -> list[tuple[int, int]]:
    """Return the numbers of the entities in ranges [first, end); each range fits into memory."""
    events = sum(count(connection, f"all_{table}") for table in EVENTS_OF[entity])
    entities = count(connection, f"{entity}s")
    parts = max(1, min(ceil(events / EVENTS_AT_ONCE), entities))
    ends = [entities * part // parts for part in range(parts + 1)]
    return list(pairwise(ends))


def select_events(connection: duckdb.DuckDBPyConnection, entity: str, first: int, end: int) -> None:
    """Show the events of some entities only, under the names that the queries use."""
    for table in EVENTS_OF[entity]:
        connection.execute(
            f"CREATE OR REPLACE VIEW {table} AS "
            f"SELECT * FROM all_{table} WHERE {entity}_id >= {first} AND {entity}_id < {end}"
        )


def microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
