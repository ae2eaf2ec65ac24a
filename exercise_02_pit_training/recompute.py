"""Recompute features from the raw events; the query shares nothing with the feature pipeline."""

from pathlib import Path

import duckdb
import pandas as pd

from lab.learn import settings

QUERY = Path(__file__).with_name("recompute.sql")
TABLES = ("transactions", "chargebacks", "user_stats", "merchant_stats", "user_streaming")
NO_CHARGEBACKS = "SELECT NULL::VARCHAR AS merchant_id, NULL::TIMESTAMPTZ AS event_timestamp LIMIT 0"


def recompute(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the stored features of each of `rows`, in order; null where none is known.

    `rows` needs user_id, merchant_id and event_timestamp.
    """
    entity_row = pd.DataFrame(
        {
            "row": range(len(rows)),
            "user_id": rows["user_id"].to_numpy(),
            "merchant_id": rows["merchant_id"].to_numpy(),
            "t": pd.to_datetime(rows["event_timestamp"], utc=True).reset_index(drop=True),
        }
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("entity_row", entity_row)
        for table in TABLES:
            file = settings.data_dir / f"{table}.parquet"
            rows_of = f"SELECT * FROM read_parquet('{file}')" if file.exists() else NO_CHARGEBACKS
            connection.execute(f"CREATE VIEW {table} AS {rows_of}")
        return connection.execute(QUERY.read_text()).df()
