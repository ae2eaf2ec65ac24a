"""The monitored shop, and drift that can be planted in its features.

Changes in the world are made in the raw events, from which all features are computed again;
faults of the pipeline are made in a feature table.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lab.dataset.features import build_feature_tables
from lab.dataset.tables import FEATURE_TABLES, RAW_TABLES
from tests.shop import AS_OF, Size

SIZE = Size(transactions=60_000)
SINCE = AS_OF - timedelta(days=7)

TABLE_OF = {
    "user_transaction_features": "user_stats",
    "merchant_risk_features": "merchant_stats",
    "product_popularity_features": "product_stats",
    "user_preference_features": "user_preferences",
    "user_streaming_features": "user_streaming",
}
MONITORED = [
    *("transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"),
    *("total_amount_30d", "chargeback_rate", "refund_rate", "total_transactions_30d"),
    *("view_count_7d", "purchase_count_30d", "purchase_rate"),
    *("last_product_id", "last_merchant_id", "distinct_products", "weekend_share"),
    *("transaction_count_5m", "total_amount_5m", "avg_amount_5m", "max_amount_5m"),
    *("declined_count_5m", "transaction_count_1h", "avg_amount_1h"),
]

Change = Callable[[pd.DataFrame], pd.DataFrame]


def views_in(folder: Path) -> list[SimpleNamespace]:
    """Return feature views over the tables of a folder, without a registry."""
    views = []
    for name, table in TABLE_OF.items():
        key, moment, created, *features = FEATURE_TABLES[table].names
        source = SimpleNamespace(
            path=str(folder / f"{table}.parquet"),
            timestamp_field=moment,
            created_timestamp_column=created,
        )
        monitored = [SimpleNamespace(name=f, dtype="") for f in features if f in MONITORED]
        views.append(
            SimpleNamespace(name=name, join_keys=[key], features=monitored, batch_source=source)
        )
    return views


def change_events(folder: Path, change: Change) -> None:
    """Change the transactions of the last week, and compute every feature again."""
    file = folder / "transactions.parquet"
    rows = pd.read_parquet(file)
    is_new = rows["event_timestamp"] >= SINCE
    rows = pd.concat([rows[~is_new], change(rows[is_new].copy())])
    table = pa.Table.from_pandas(rows, RAW_TABLES["transactions"], preserve_index=False)
    pq.write_table(table, file)
    build_feature_tables(folder, AS_OF)


def change_table(folder: Path, view: str, change: Change) -> None:
    """Change the last week's rows of a view's table."""
    file = folder / f"{TABLE_OF[view]}.parquet"
    rows = pd.read_parquet(file)
    is_new = rows["event_timestamp"] >= SINCE
    pd.concat([rows[~is_new], change(rows[is_new].copy())]).to_parquet(file, index=False)


def dearer(rows: pd.DataFrame) -> pd.DataFrame:
    """Double all prices."""
    return rows.assign(amount=rows["amount"] * 2)


def more_spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Spread prices: low ones are lower, high ones higher; the middle stays."""
    middle = rows["amount"].median()
    return rows.assign(amount=(middle * (rows["amount"] / middle) ** 2.5).clip(0.01, 20_000))


def in_cents(rows: pd.DataFrame) -> pd.DataFrame:
    """Send dollars as cents."""
    return rows.assign(amount=rows["amount"] * 100)


def new_product(rows: pd.DataFrame) -> pd.DataFrame:
    """Make one purchase in five one of a new product."""
    is_new = np.random.default_rng(7).random(len(rows)) < 0.2
    return rows.assign(product_id=rows["product_id"].mask(is_new, "product_of_the_season"))


def without(feature: str, share: float) -> Change:
    """Set that share of a feature's values to null."""

    def nulled(rows: pd.DataFrame) -> pd.DataFrame:
        is_lost = np.random.default_rng(7).random(len(rows)) < share
        return rows.assign(**{feature: rows[feature].mask(is_lost)})

    return nulled
