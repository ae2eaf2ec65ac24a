"""The data of both sides: snapshots of users and merchants, and payments to join them to.

Every value follows from its row's number, so that each run measures the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TTL = timedelta(days=90)

# One row of each key a day, each with a time of its own, the keys in no order (the factor is
# prime). Each hundredth row is corrected: a second row with the same time, created later.
SNAPSHOTS = """
COPY (
    SELECT
        '{entity}_' || (row * 7919) % {keys} AS {entity}_id,
        {features},
        make_timestamptz({start} + row * ({day} // {keys})) AS event_timestamp,
        make_timestamptz({start} + row * ({day} // {keys}) + (version + 1) * 1_200_000_000)
            AS created
    FROM range({rows}) AS rows(row), range(2) AS versions(version)
    WHERE version = 0 OR row % 100 = 0
) TO '{file}' (FORMAT parquet)
"""

FEATURES = {
    "user": {
        "user_payments_7d": "(hash(row, version) % 200)::BIGINT",
        "user_amount_7d": "(hash(row, version, 1) % 1_000_000 / 100)::FLOAT",
        "user_mean_amount_30d": "(hash(row, version, 2) % 100_000 / 7)::DOUBLE",
        "user_merchants_30d": "(hash(row, version, 3) % 40)::BIGINT",
        "user_category": "'category_' || hash(row, version, 4) % 30",
    },
    "merchant": {
        "merchant_payments_7d": "(hash(row, version) % 5_000)::BIGINT",
        "merchant_amount_7d": "(hash(row, version, 1) % 10_000_000 / 100)::FLOAT",
        "merchant_fraud_rate_30d": "(hash(row, version, 2) % 10_000 / 1e5)::DOUBLE",
    },
}

# Payments of the later half of the days; one in a hundred is of a user without snapshots.
PAYMENTS = """
COPY (
    SELECT
        payment,
        'user_' || hash(payment) % ({users} * 101 // 100) AS user_id,
        'merchant_' || hash(payment, 1) % {merchants} AS merchant_id,
        make_timestamptz(({start} + {half} + hash(payment, 2) % {half})::BIGINT)
            AS event_timestamp,
        (hash(payment, 3) % 100_000 / 100)::DOUBLE AS amount
    FROM range({payments}) AS payments(payment)
) TO '{file}' (FORMAT parquet)
"""

MICROSECONDS = {"start": int(START.timestamp()) * 10**6, "day": DAY // timedelta(microseconds=1)}


@dataclass(frozen=True)
class Snapshots:
    """A table of one entity's snapshots: `rows` rows of `keys` keys, and each hundredth again."""

    entity: str
    keys: int
    rows: int
    file: Path

    @property
    def key(self) -> str:
        """Return the join key."""
        return f"{self.entity}_id"

    @property
    def features(self) -> Sequence[str]:
        """Return the names of its features, which no other table has."""
        return list(FEATURES[self.entity])


def write_snapshots(entity: str, keys: int, rows: int, folder: Path) -> Snapshots:
    """The entity's snapshots as a Parquet file in `folder`."""
    table = Snapshots(entity, keys, rows, folder / f"{entity}.parquet")
    features = ", ".join(f"{formula} AS {name}" for name, formula in FEATURES[entity].items())
    sizes = {"entity": entity, "keys": keys, "rows": rows, "file": table.file}
    _execute(SNAPSHOTS.format(features=features, **sizes, **MICROSECONDS))
    return table


def write_payments(payments: int, users: int, merchants: int, days: int, folder: Path) -> Path:
    """Entity rows as a Parquet file: payments in the later half of `days`, in no order."""
    file = folder / f"payments_{payments}.parquet"
    half = days * MICROSECONDS["day"] // 2
    sizes = {"payments": payments, "users": users, "merchants": merchants, "half": half}
    _execute(PAYMENTS.format(file=file, **sizes, **MICROSECONDS))
    return file


def read_payments(file: Path) -> pd.DataFrame:
    """Return entity rows as a user would have them: strings, and times with their zone."""
    return pd.read_parquet(file)


def _execute(statement: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '2GB'")
        connection.execute(statement)
