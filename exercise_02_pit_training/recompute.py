"""Recompute features from the raw events; the query shares nothing with the feature pipeline."""

from pathlib import Path

import duckdb
import pandas as pd

from lab.learn import settings

QUERY = Path(__file__).with_name("recompute.sql")
RAW_TABLES = ("transactions", "chargebacks")
NO_CHARGEBACKS = "SELECT NULL::VARCHAR AS merchant_id, NULL::TIMESTAMPTZ AS event_timestamp LIMIT 0"
SNAPSHOTS = {  # of each feature table: the key and the TTL of its view in days
    "user_stats": ("user_id", 90),
    "merchant_stats": ("merchant_id", 90),
    "user_streaming": ("user_id", 1),
}
# The feature tables give only the event and created times of their snapshots.
NEWEST_SNAPSHOT = """
CREATE TABLE {table} AS
SELECT entity_row.*, max(snapshot.event_timestamp) AS moment
FROM entity_row JOIN read_parquet('{file}') AS snapshot USING ({key})
WHERE snapshot.event_timestamp BETWEEN t - INTERVAL {days} DAY AND t
  AND snapshot.created_timestamp <= t
GROUP BY ALL
"""


def recompute(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the stored features of each of `rows`, in order; null where none is known.

    `rows` needs user_id, merchant_id and event_timestamp.
    """
    entity_row = rows[["user_id", "merchant_id"]].assign(
        row=range(len(rows)), t=pd.to_datetime(rows["event_timestamp"], utc=True)
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("entity_row", entity_row)
        for table in RAW_TABLES:
            file = settings.data_dir / f"{table}.parquet"
            rows_of = f"SELECT * FROM read_parquet('{file}')" if file.exists() else NO_CHARGEBACKS
            connection.execute(f"CREATE VIEW {table} AS {rows_of}")
        for table, (key, days) in SNAPSHOTS.items():
            file = settings.data_dir / f"{table}.parquet"
            connection.execute(NEWEST_SNAPSHOT.format(table=table, file=file, key=key, days=days))
        return connection.execute(QUERY.read_text()).df()
