"""The same join written by hand: the cost of a point-in-time join without Feast.

The newest row at or before each payment, within the TTL; of rows with one time the one created
last; in the order of the payments; from a pandas frame and Parquet files to a pandas frame.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl

from benchmarks.harness.peer_process import environment, peer_process
from benchmarks.harness.workload import TTL, Snapshots

NEWEST = "2.0.1"  # of DuckDB; Feast's own store does not allow it yet
SIDE = Path(__file__).with_name("duckdb_side.py")

ASOF = """
ASOF LEFT JOIN (
    SELECT {key}, event_timestamp AS {entity}_time, {features} FROM read_parquet('{file}')
    QUALIFY row_number() OVER (PARTITION BY {key}, event_timestamp ORDER BY created DESC) = 1
) AS {entity}
ON payments.{key} = {entity}.{key} AND payments.event_timestamp >= {entity}.{entity}_time
"""


def asof_query(names: Sequence[str], tables: Sequence[Snapshots]) -> str:
    """Return DuckDB's ASOF JOIN of `frame`, whose columns are `names`."""
    alive = "CASE WHEN {e}_time >= event_timestamp - to_days({ttl}) THEN {f} END AS {f}"
    features = [
        alive.format(e=table.entity, f=f, ttl=TTL.days) for table in tables for f in table.features
    ]
    numbered = "(SELECT *, row_number() OVER () AS place FROM frame) AS payments"
    joins = [
        ASOF.format(
            key=table.key, entity=table.entity, features=", ".join(table.features), file=table.file
        )
        for table in tables
    ]
    columns = ", ".join([*(f'payments."{name}"' for name in names), *features])
    return f"SELECT {columns} FROM {numbered} {' '.join(joins)} ORDER BY place"


def duckdb_join(payments: pd.DataFrame, tables: Sequence[Snapshots]) -> pd.DataFrame:
    """Join in this environment's DuckDB."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("frame", payments)
        return connection.execute(asof_query(list(payments.columns), tables)).df()


@contextmanager
def newest_duckdb(
    payments: pd.DataFrame, tables: Sequence[Snapshots], folder: Path
) -> Iterator[tuple[Callable[[], float], pd.DataFrame]]:
    """Start DuckDB's newest release in a process; yields a run's time, and the first result."""
    files = [folder / f"duckdb_{name}" for name in ("payments", "query", "result")]
    payments.to_parquet(files[0])
    files[1].write_text(asof_query(list(payments.columns), tables))
    files[2].unlink(missing_ok=True)
    needed = [f"{name}=={version(name)}" for name in ("pandas", "pyarrow", "numpy")]
    python = environment("duckdb", NEWEST, *needed)
    with peer_process(python, SIDE, *map(str, files)) as peer:
        peer.query("warm up")
        yield lambda: float(peer.query("run")["seconds"]), pd.read_parquet(files[2])


def polars_join(payments: pd.DataFrame, tables: Sequence[Snapshots]) -> pd.DataFrame:
    """Join with polars' join_asof."""
    microseconds = pl.col("event_timestamp").dt.cast_time_unit("us")
    joined = pl.from_pandas(payments).with_columns(microseconds).with_row_index("place")
    joined = joined.sort("event_timestamp")
    for table in tables:
        rows = pl.read_parquet(table.file).sort("event_timestamp", "created")
        rows = rows.rename({"event_timestamp": "time"}).drop("created")
        joined = joined.join_asof(
            rows, left_on="event_timestamp", right_on="time", by=table.key, check_sortedness=False
        )
        alive = pl.col("time") >= pl.col("event_timestamp") - TTL
        features = [pl.when(alive).then(pl.col(name)).alias(name) for name in table.features]
        joined = joined.with_columns(features).drop("time")
    return joined.sort("place").drop("place").to_pandas()
