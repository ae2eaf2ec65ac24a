"""The shop's tables, and ways to change them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from feast_plugins.redis_encoding import entity_key
from lab.settings import settings
from tests.shop import PROJECT

TABLES = {
    "user_transaction_features": "user_stats",
    "merchant_risk_features": "merchant_stats",
    "product_popularity_features": "product_stats",
    "user_preference_features": "user_preferences",
}

ON_BOTH_STORES = pytest.mark.parametrize("stores", ["feast", "plugins"], indirect=True)

Dump = dict[bytes, dict[bytes, bytes]]


def read_table(view: str) -> pd.DataFrame:
    return pd.read_parquet(settings.data_dir / f"{TABLES[view]}.parquet")


def write_table(view: str, table: pd.DataFrame) -> None:
    table.to_parquet(settings.data_dir / f"{TABLES[view]}.parquet", index=False)


def change(view: str, entity: str, at: datetime, created: datetime, **features: Any) -> None:
    """Add a row to a view's table: the entity's newest one, with these times and values."""
    table = read_table(view)
    row = table[table.iloc[:, 0] == entity].tail(1)
    times = {"event_timestamp": at, "created_timestamp": created}
    moments = {name: pd.Timestamp(time).as_unit("us") for name, time in times.items()}
    new = row.assign(**moments, **features).astype(table.dtypes)
    write_table(view, pd.concat([table, new], ignore_index=True))


def keys_of(view: str, entities: Iterable[str]) -> set[bytes]:
    """Return the Redis keys of entities of a view."""
    join_key = TABLES[view].split("_")[0].rstrip("s") + "_id"
    return {entity_key(PROJECT, join_key, entity) for entity in entities}
