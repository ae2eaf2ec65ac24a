"""The offline history of the streaming view: the online values at t, for training at t."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from exercise_05_streaming.verify import recompute_tiles
from exercise_05_streaming.windows import FEATURES, features
from exercise_05_streaming.writer import VIEW, FeastSink
from lab.feature_store import connect_redis, open_store
from lab.settings import settings
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Size

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS, MOMENTS = 1_000, 20
REFERENCES = [f"{VIEW}:{feature}" for feature in FEATURES]


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Path]:
    """Yield the data of a busy shop: many users have events in their last day."""
    busy = new_shop(Size(60_000, AS_OF, timedelta(days=15)))
    with settings_in_force(**busy.settings):
        yield busy.data


def requested(transactions: pl.DataFrame) -> pd.DataFrame:
    """Return users at times of the last week, half of them soon after an event of theirs."""
    random = np.random.default_rng(7)
    last_week = transactions.filter(pl.col("event_timestamp") > AS_OF - timedelta(days=7))
    near = last_week.sample(MOMENTS, seed=7)["event_timestamp"].to_list()
    users = last_week["user_id"].unique(maintain_order=True).to_list()
    soon = [timedelta(seconds=float(s)) for s in random.exponential(600, MOMENTS)]
    rows = [
        {"user_id": str(user), "event_timestamp": moment + later}
        for moment, later in zip(near, soon, strict=True)
        for user in {
            *random.choice(users, ROWS // MOMENTS // 2, replace=False),
            *before(transactions, moment).tail(ROWS // MOMENTS)["user_id"].unique(),
        }
    ]
    return pd.DataFrame(rows).sort_values("event_timestamp", kind="stable").head(ROWS)


def before(transactions: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    return transactions.filter(pl.col("event_timestamp") < moment)


def tiles(transactions: pl.DataFrame) -> pl.DataFrame:
    """Return tiles as the job makes them, and not as the history counts them."""
    accepted = transactions.select(
        "user_id",
        (pl.col("amount") * 100).round().cast(pl.Int64).alias("cents"),
        (~pl.col("is_approved")).alias("declined"),
        pl.col("event_timestamp").dt.epoch("ms").alias("ms"),
    )
    return recompute_tiles(accepted)


def online_at(transactions: pl.DataFrame, users: list[str], moment: datetime) -> pd.DataFrame:
    """Return Feast's online values after the writer has written the tiles known at `moment`."""
    known = tiles(before(transactions, moment))
    now_ms = int(moment.timestamp() * 1_000)
    connect_redis().flushdb()
    FeastSink().write(features(known, now_ms), now_ms)
    return read_online(users)


def read_online(users: list[str]) -> pd.DataFrame:
    keys = [{"user_id": user} for user in users]
    return open_store().get_online_features(REFERENCES, keys).to_df()[list(FEATURES)]


def test_online_and_offline_are_equal_on_a_thousand_rows(shop: Path) -> None:
    """Offline at t has the stream's output at t: events count after `streaming_delay`."""
    transactions = pl.read_parquet(shop / "transactions.parquet")
    rows = requested(transactions)
    assert len(rows) == ROWS
    store = open_store()
    offline = store.get_historical_features(
        rows.assign(row=range(ROWS)), REFERENCES, filter_by_created_timestamp=True
    ).to_df()
    offline = offline.sort_values("row").reset_index(drop=True)[list(FEATURES)]
    online = pd.concat(
        online_at(transactions, list(group["user_id"]), moment - settings.streaming_delay)
        for moment, group in rows.groupby("event_timestamp", sort=False)
    ).reset_index(drop=True)
    recent = offline["transaction_count_24h"].notna().to_numpy()  # within the view's TTL offline
    assert recent.sum() > ROWS / 2
    for what, least in (("5m", 30), ("1h", 100), ("24h", 400), ("session", 60)):
        assert (offline[f"transaction_count_{what}"] > 0).sum() > least
    as_floats = (frame[recent].astype("float64") for frame in (offline, online))
    pd.testing.assert_frame_equal(*as_floats, check_exact=True)
    assert not online[~recent].filter(like="count").fillna(0).to_numpy().any()


def test_a_materialization_overwrites_no_newer_row(shop: Path) -> None:
    """A row has the time that its values describe, two hours after the materialized ones."""
    transactions = pl.read_parquet(shop / "transactions.parquet")
    recent = transactions.filter(pl.col("event_timestamp") > AS_OF - timedelta(hours=1))
    users = recent["user_id"].unique(maintain_order=True).to_list()
    written = online_at(transactions, users, AS_OF + timedelta(hours=2))
    assert not written["transaction_count_1h"].any()
    open_store().materialize(AS_OF - timedelta(days=1), AS_OF, [VIEW])
    pd.testing.assert_frame_equal(read_online(users), written)
    connect_redis().flushdb()
    open_store().materialize(AS_OF - timedelta(days=1), AS_OF, [VIEW])
    assert read_online(users)["transaction_count_1h"].any()
