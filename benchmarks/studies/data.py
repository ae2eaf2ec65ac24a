"""Payments of a study, the model's inputs for them at any point in time, and its models.

Batch features come from exercise 2's join on the plug-in store; streaming features of any age from
exercise 5's windows over the raw payments; the models are exercise 4's.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import accumulate
from typing import cast

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.studies.scoring import Floats, pr_auc, with_numbers
from exercise_01_setup.feature_repo.missing_values import quiet_values
from exercise_02_pit_training import generate_training_data as exercise_2
from exercise_02_pit_training.generate_training_data import AMOUNT, KEYS, LABEL
from exercise_02_pit_training.splits import split_by_time
from exercise_04_serving.train_model import train, with_unknown_streaming
from exercise_05_streaming.windows import FEATURES, features
from lab.dataset.tables import TRUTH
from lab.learn import as_of, open_store, settings

TIME = "event_timestamp"
SAME_THEFT = pd.Timedelta(hours=1)  # a burst takes minutes
KINDS = {
    "five stored": "transaction_count_7d transaction_count_30d avg_transaction_amount "
    "chargeback_rate total_transactions_30d",
    "+ amount, request": f"{AMOUNT} amount_vs_avg_ratio is_large_transaction transaction_velocity",
    "+ merchant windows": "transactions_24h_vs_daily_mean chargeback_count_30d",
    "+ streaming": " ".join(FEATURES),
}
BATCH, STREAMING = list(KINDS)[-2:]
# Exercise 5's tiles, for each row those that its windows can hold
TILES = """
    SELECT payment.row AS user_id, epoch_ms(t) AS now_ms, ms // 300_000 * 300 AS tile_start,
        count(*) AS transaction_count, sum(cents) AS total_cents, max(cents) AS max_cents,
        count(*) FILTER (NOT is_approved) AS declined_count,
        min(ms) AS first_event, max(ms) AS last_event
    FROM payment JOIN (
        SELECT *, epoch_ms(event_timestamp) AS ms, round(amount * 100) AS cents
        FROM read_parquet('{file}')
    ) AS event USING (user_id)
    WHERE event_timestamp < seen_until AND event_timestamp >= t - INTERVAL 24 HOUR
    GROUP BY ALL ORDER BY payment.row, tile_start
"""


def labelled_payments(hindsight: timedelta) -> pd.DataFrame:
    """Return exercise 2's rows that are older than `hindsight`, in the order of time.

    A simulation adds `truth`, `theft` (its number), and `is_first` of the theft.
    """
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet")
    rows = exercise_2.create_entity_df(raw.drop(columns="product_id", errors="ignore"))
    rows = rows[rows[TIME] < as_of() - hindsight].drop_duplicates(KEYS)
    details = [*KEYS, "label_timestamp"]
    if (file := settings.data_dir / f"{TRUTH}.parquet").exists():
        truth = pd.read_parquet(file).rename(columns={"is_fraud": "truth"})
        raw = raw.merge(truth, on="transaction_id").sort_values(["user_id", TIME])
        pause = raw[raw["kind"] == "theft"].groupby("user_id")[TIME].diff()
        is_first = pause.isna() | (pause > SAME_THEFT)
        raw = raw.assign(theft=is_first.cumsum(), is_first=is_first.reindex(raw.index).eq(True))
        details += ["truth", "theft", "is_first"]
    known = raw[details].drop_duplicates(KEYS)
    return rows.merge(known, on=KEYS).sort_values(TIME, ignore_index=True)


def join(
    rows: pd.DataFrame, at: pd.Series | datetime | None = None, *, known: bool = True
) -> pd.DataFrame:
    """Return the rows with their inputs, point in time: at the row's own time, or `at` another."""
    joined = exercise_2.get_training_data(
        rows[[*KEYS, AMOUNT]].assign(**{TIME: rows[TIME] if at is None else at}),
        open_store("plugins"),
        filter_by_created_timestamp=known,
        rows_per_join=len(rows),
    )
    return rows.assign(**exercise_2.model_inputs(joined).astype("float64"))


def with_streaming(rows: pd.DataFrame, age: timedelta) -> pd.DataFrame:
    """Replace the streaming features by the windows at t over the events before t - age."""
    names = [name for name in FEATURES if name in rows]
    values = windows(rows, age).reindex(range(len(rows)))[names].set_index(rows.index)
    return rows.assign(**values.fillna(quiet_values(names)))


def windows(rows: pd.DataFrame, age: timedelta) -> pd.DataFrame:
    """Return exercise 5's features by place in `rows`, of those with a payment in 24 hours."""
    payment = pd.DataFrame({"user_id": rows["user_id"], "t": rows[TIME]}).reset_index(drop=True)
    payment = payment.assign(row=payment.index, seen_until=payment["t"] - age)
    file = settings.data_dir / "transactions.parquet"
    tiles = duckdb.query_df(payment, "payment", TILES.format(file=file)).pl()
    tiles = tiles.cast({name: pl.Int64 for name in tiles.columns})
    now_ms = cast(int, pl.col("now_ms"))  # each row is a user with a present of its own
    return features(tiles, now_ms).to_pandas().set_index("user_id")


class Study:
    """Training and test payments with their inputs, and a model for each kind of feature."""

    def __init__(self, hindsight: timedelta) -> None:
        rows = join(labelled_payments(hindsight)).dropna(axis="columns", how="all")
        part = split_by_time(rows[TIME], exercise_2.has_history(rows), exercise_2.LABEL_MATURITY)
        self.training = rows[part == "train"]
        self.test = with_numbers(rows[part == "test"].reset_index(drop=True))
        added = ([name for name in names.split() if name in rows] for names in KINDS.values())
        self.names = dict(zip(KINDS, accumulate(added), strict=True))
        self.models = {kind: self.fit(kind, self.training) for kind in KINDS}
        self.scores = {kind: model(self.test) for kind, model in self.models.items()}
        self.pr_auc = pd.Series({kind: pr_auc(self.test, s) for kind, s in self.scores.items()})
        self.best_batch = max(list(KINDS)[:-1], key=lambda kind: self.pr_auc[kind][0, 0])

    def fit(self, kind: str, rows: pd.DataFrame) -> Callable[[pd.DataFrame], Floats]:
        """Train on the inputs of a kind and of those before it; return what scores any rows."""
        names = self.names[kind]
        streaming = [name for name in names if name in FEATURES]
        inputs = with_unknown_streaming(rows[names].astype("float32"), streaming)
        trees = train(inputs, rows[LABEL].astype(int))
        return lambda scored: trees.predict_proba(scored[names].to_numpy(np.float32))[:, 1]
