"""Payments of a study, and the model's inputs for them, as known at any moment.

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
    LABEL_MATURITY,
    create_entity_df,
    get_training_data,
    has_history,
    model_inputs,
    service_features,
)
from exercise_02_pit_training.splits import split_by_time
from exercise_05_streaming.windows import TILE, features
from lab.dataset.tables import TRUTH
from lab.learn import as_of, open_store, settings

TIME = "event_timestamp"
SCHEDULE = pd.Timedelta(hours=1)  # of the materialization
SAME_THEFT = pd.Timedelta(hours=1)  # a burst takes minutes
EVENTS = """
    SELECT r.row, epoch_ms(r.t) AS now_ms, epoch_ms(e.event_timestamp) AS ms, e.is_approved,
        round(e.amount * 100)::BIGINT AS cents
    FROM asked AS r JOIN read_parquet('{file}') AS e USING (user_id)
    WHERE e.event_timestamp < r.seen_until AND e.event_timestamp >= r.t - INTERVAL 24 HOUR
"""


def labelled_payments(hindsight: timedelta) -> pd.DataFrame:
    """Return exercise 2's rows that are older than `hindsight`, in the order of time.

    A simulation adds `truth`, `kind`, `theft` (its number) and `is_first` of the theft.
    """
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet")
    rows = create_entity_df(raw.drop(columns="product_id", errors="ignore"))
    rows = rows[rows[TIME] < as_of() - hindsight].drop_duplicates(KEYS)
    details = _with_truth(raw).drop_duplicates(KEYS)
    return rows.merge(details, on=KEYS).sort_values(TIME, ignore_index=True)


def _with_truth(raw: pd.DataFrame) -> pd.DataFrame:
    """Return keys and label time, and what a simulation knows of each payment."""
    file = settings.data_dir / f"{TRUTH}.parquet"
    if not file.exists():
        return raw[[*KEYS, "label_timestamp"]]
    truth = pd.read_parquet(file).rename(columns={"is_fraud": "truth"})
    known = raw.merge(truth, on="transaction_id").sort_values(["user_id", TIME])
    stolen = known[known["kind"] == "theft"]
    pause = stolen.groupby("user_id")[TIME].diff()
    is_first = pause.isna() | (pause > SAME_THEFT)
    known = known.assign(theft=is_first.cumsum(), is_first=is_first)
    known["is_first"] = known["is_first"].eq(True)
    return known[[*KEYS, "label_timestamp", "truth", "kind", "theft", "is_first"]]


def split(inputs: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Return exercise 2's split of each row."""
    return split_by_time(rows[TIME], has_history(inputs), LABEL_MATURITY)


def join(rows: pd.DataFrame, at: pd.Series | None = None, *, known: bool = True) -> pd.DataFrame:
    """Return the inputs of each row as known at its own time, or `at` another."""
    asked = rows[[*KEYS, AMOUNT]]
    asked = asked if at is None else asked.assign(**{TIME: at})
    joined = get_training_data(
        asked,
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
    """Return exercise 5's features by place in `rows`; rows without an event in 24 hours lack."""
    asked = pd.DataFrame({"row": range(len(rows)), "user_id": rows["user_id"].to_numpy()})
    asked = asked.assign(t=rows[TIME].to_numpy(), seen_until=(rows[TIME] - age).to_numpy())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("asked", asked)
        file = settings.data_dir / "transactions.parquet"
        events = connection.execute(EVENTS.format(file=file)).pl()
    tiles = (
        events.group_by("row", "now_ms", (pl.col("ms") // 300_000 * 300).alias("tile_start"))
        .agg(
            pl.len().alias("transaction_count"),
            pl.col("cents").sum().alias("total_cents"),
            pl.col("cents").max().alias("max_cents"),
            (~pl.col("is_approved")).sum().alias("declined_count"),
            pl.col("ms").min().alias("first_event"),
            pl.col("ms").max().alias("last_event"),
        )
        .rename({"row": "user_id"})  # each row is a user with a present of its own
        .cast({name: kind for name, kind in TILE.items() if name != "user_id"})
        .sort("user_id", "tile_start")
    )
    now_ms = cast(int, pl.col("now_ms"))  # the same arithmetic, for each row its own
    return features(tiles, now_ms).to_pandas().set_index("user_id")
