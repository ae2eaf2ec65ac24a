"""The same join written by hand: the cost of a point-in-time join without Feast.

The newest row at or before each payment, within the TTL; of rows with one time the one created
last; in the order of the payments; from a pandas frame and Parquet files to a pandas frame.
"""

from collections.abc import Sequence

import duckdb
import pandas as pd
import polars as pl

from benchmarks.harness.workload import TTL, Snapshots

ASOF = """
ASOF LEFT JOIN (
    SELECT {key}, event_timestamp AS {entity}_time, {features} FROM read_parquet('{file}')
    QUALIFY row_number() OVER (PARTITION BY {key}, event_timestamp ORDER BY created DESC) = 1
) AS {entity}
ON payments.{key} = {entity}.{key} AND payments.event_timestamp >= {entity}.{entity}_time
"""


def duckdb_join(payments: pd.DataFrame, tables: Sequence[Snapshots]) -> pd.DataFrame:
    """Join with DuckDB's ASOF JOIN."""
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
    columns = ", ".join([*(f'payments."{name}"' for name in payments.columns), *features])
    query = f"SELECT {columns} FROM {numbered} {' '.join(joins)} ORDER BY place"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("frame", payments)
        return connection.execute(query).df()


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
