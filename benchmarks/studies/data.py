"""Payments of a study, the model's inputs for them at any point in time, and its models.

Batch features come from exercise 2's join on the plug-in store; streaming features of any age from
exercise 5's windows over the raw payments; the models are exercise 4's.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import accumulate
from typing import cast

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.studies.scoring import Floats
from exercise_01_setup.feature_repo.missing_values import quiet_values
from exercise_02_pit_training import generate_training_data as exercise_2
from exercise_02_pit_training.generate_training_data import AMOUNT, KEYS, LABEL
from exercise_02_pit_training.splits import split_by_time
from exercise_04_serving.train_model import train, with_unknown_streaming
from exercise_05_streaming.verify import recompute_tiles
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
# The payments that the windows of each row can hold; a row is a user with a present of its own
EVENTS = """
    SELECT place AS user_id, epoch_ms(event_timestamp) AS ms, NOT is_approved AS declined,
        round(amount * 100)::BIGINT AS cents
    FROM payment JOIN read_parquet('{file}') USING (user_id)
    WHERE event_timestamp >= t - INTERVAL 24 HOUR
        AND event_timestamp < t - INTERVAL ({age_us}) MICROSECOND
"""


def labelled_payments(hindsight: timedelta) -> pd.DataFrame:
    """Return exercise 2's rows older than `hindsight`; of a simulation with truth and thefts."""
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet")
    raw = raw.assign(label_days=(raw["label_timestamp"] - raw[TIME]) / pd.Timedelta(days=1))
    details = ["label_days"]
    if (file := settings.data_dir / f"{TRUTH}.parquet").exists():
        truth = pd.read_parquet(file).rename(columns={"is_fraud": "truth"})
        raw = raw.merge(truth, on="transaction_id").sort_values(["user_id", TIME])
        pause = raw[raw["kind"] == "theft"].groupby("user_id")[TIME].diff()
        is_first = pause.isna() | (pause > SAME_THEFT)
        raw = raw.assign(theft=is_first.cumsum(), is_first=is_first.reindex(raw.index).eq(True))
        details += ["truth", "theft", "is_first"]
    rows = exercise_2.create_entity_df(raw).drop_duplicates(KEYS)
    rows = rows[rows[TIME] < as_of() - hindsight]
    known = raw[[*KEYS, *details]].drop_duplicates(KEYS)
    return rows.merge(known, on=KEYS).sort_values(TIME, ignore_index=True)


def join(rows: pd.DataFrame, at: object = None, *, known: bool = True) -> pd.DataFrame:
    """Return the rows with their inputs, point in time: at the row's own time, or `at` another."""
    joined = exercise_2.get_training_data(
        rows[[*KEYS, AMOUNT]].assign(**{TIME: rows[TIME] if at is None else at}),
        open_store("plugins"),
        filter_by_created_timestamp=known,
        rows_per_join=len(rows),
    )
    return rows.assign(**exercise_2.model_inputs(joined).astype("float64"))


def with_streaming(rows: pd.DataFrame, age: timedelta | str) -> pd.DataFrame:
    """Replace the streaming features by those of exercise 5 at t over the events before t - age."""
    payment = pd.DataFrame({"user_id": rows["user_id"], "t": rows[TIME], "place": range(len(rows))})
    file, age_us = settings.data_dir / "transactions.parquet", pd.Timedelta(age).value // 1_000
    events = duckdb.query_df(payment, "payment", EVENTS.format(file=file, age_us=age_us)).pl()
    times = pl.from_pandas(payment)["t"].dt.epoch("ms")
    tiles = recompute_tiles(events).cast({"user_id": int})
    tiles = tiles.with_columns(now_ms=pl.lit(times).gather("user_id"))
    values = features(tiles, cast(int, pl.col("now_ms"))).to_pandas().set_index("user_id")
    names = [name for name in FEATURES if name in rows]
    recent = values.reindex(payment["place"])[names].fillna(quiet_values(names))
    return rows.assign(**recent.set_index(rows.index))


class Study:
    """Training and test payments with their inputs, and a model for each kind of feature."""

    def __init__(self, hindsight: timedelta) -> None:
        rows = join(labelled_payments(hindsight)).dropna(axis="columns", how="all")
        part = split_by_time(rows[TIME], exercise_2.has_history(rows), exercise_2.LABEL_MATURITY)
        self.training = rows[part == "train"]
        test = rows[part == "test"].reset_index(drop=True)
        users, merchants = (pd.factorize(test[key])[0] for key in ("user_id", "merchant_id"))
        self.test = test.assign(users=users, merchants=merchants)
        added = ([name for name in names.split() if name in rows] for names in KINDS.values())
        self.names = dict(zip(KINDS, accumulate(added), strict=True))
        self.models = {kind: self.fit(kind, self.training) for kind in KINDS}
        self.scores = {kind: model(self.test) for kind, model in self.models.items()}

    def fit(self, kind: str, rows: pd.DataFrame) -> Callable[[pd.DataFrame], Floats]:
        """Train on the inputs of a kind and of those before it; return what scores any rows."""
        names = self.names[kind]
        streaming = [name for name in names if name in FEATURES]
        inputs = with_unknown_streaming(rows[names].astype("float32"), streaming)
        trees = train(inputs, rows[LABEL].astype(int))
        return lambda scored: trees.predict_proba(scored[names].to_numpy(np.float32))[:, 1]
