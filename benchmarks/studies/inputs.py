"""Payments of a study, and the model's inputs for them at any point in time.

Batch features come from exercise 2's join on the plug-in store; streaming features of any age from
exercise 5's windows over the raw payments.
"""

from datetime import timedelta
from typing import cast

import duckdb
import pandas as pd
import polars as pl

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, quiet_values
from exercise_02_pit_training.generate_training_data import (
    AMOUNT,
    KEYS,
    create_entity_df,
    get_training_data,
    model_inputs,
    service_features,
)
from exercise_05_streaming.windows import features
from lab.dataset.tables import TRUTH
from lab.learn import as_of, open_store, settings

TIME = "event_timestamp"
SCHEDULE = pd.Timedelta(hours=1)  # of the materialization
SAME_THEFT = pd.Timedelta(hours=1)  # a burst takes minutes
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
    rows = create_entity_df(raw.drop(columns="product_id", errors="ignore"))
    rows = rows[rows[TIME] < as_of() - hindsight].drop_duplicates(KEYS)
    details = _with_truth(raw).drop_duplicates(KEYS)
    return rows.merge(details, on=KEYS).sort_values(TIME, ignore_index=True)


def _with_truth(raw: pd.DataFrame) -> pd.DataFrame:
    """Return keys and label time, and the simulation's truth of each payment."""
    file = settings.data_dir / f"{TRUTH}.parquet"
    if not file.exists():
        return raw[[*KEYS, "label_timestamp"]]
    truth = pd.read_parquet(file).rename(columns={"is_fraud": "truth"})
    known = raw.merge(truth, on="transaction_id").sort_values(["user_id", TIME])
    stolen = known[known["kind"] == "theft"]
    pause = stolen.groupby("user_id")[TIME].diff()
    is_first = pause.isna() | (pause > SAME_THEFT)
    known["theft"] = is_first.cumsum()
    known["is_first"] = is_first.reindex(known.index, fill_value=False)
    return known[[*KEYS, "label_timestamp", "truth", "theft", "is_first"]]


def join(rows: pd.DataFrame, at: pd.Series | None = None, *, known: bool = True) -> pd.DataFrame:
    """Return the inputs of each row, point in time: at the row's own time, or `at` another."""
    entity_rows = rows[[*KEYS, AMOUNT]]
    joined = get_training_data(
        entity_rows if at is None else entity_rows.assign(**{TIME: at}),
        open_store("plugins"),
        filter_by_created_timestamp=known,
        rows_per_join=len(rows),
    )
    return model_inputs(joined).astype("float32")


def last_run(times: pd.Series) -> pd.Series:
    """Return when the hourly materialization last ran before each time."""
    return times.dt.ceil(SCHEDULE) - SCHEDULE


def streaming_features() -> list[str]:
    """Return the streaming features of the service."""
    return service_features(open_store())[STREAMING_VIEW]


def with_streaming(inputs: pd.DataFrame, rows: pd.DataFrame, age: timedelta) -> pd.DataFrame:
    """Replace the streaming features by the windows at t over the events before t - age."""
    names = streaming_features()
    values = windows(rows, age).reindex(range(len(rows)))[names]
    quiet = values.fillna(quiet_values(names)).astype("float32")
    return inputs.assign(**{name: quiet[name].to_numpy() for name in names})


def windows(rows: pd.DataFrame, age: timedelta) -> pd.DataFrame:
    """Return exercise 5's features by place in `rows`, of those with a payment in 24 hours."""
    time = rows[TIME]
    payment = pd.DataFrame({"row": range(len(rows)), "user_id": rows["user_id"].to_numpy()})
    payment = payment.assign(t=time.to_numpy(), seen_until=(time - age).to_numpy())
    file = settings.data_dir / "transactions.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("payment", payment)
        tiles = connection.execute(TILES.format(file=file)).pl()
    tiles = tiles.cast({name: pl.Int64 for name in tiles.columns})
    now_ms = cast(int, pl.col("now_ms"))  # each row is a user with a present of its own
    return features(tiles, now_ms).to_pandas().set_index("user_id")
