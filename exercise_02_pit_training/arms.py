"""Four ways to build a model's training data, each met in practice; three of them leak."""

from dataclasses import dataclass

import pandas as pd

from exercise_02_pit_training.generate_training_data import (
    KEYS,
    MODEL_INPUTS,
    get_training_data,
)
from lab import dataset
from lab.settings import settings

MAX_ROWS = 200_000  # of more a seeded sample, which keeps the experiment at minutes
SCHEDULE = pd.Timedelta(hours=1)  # of the incremental materialization


@dataclass(frozen=True)
class Arm:
    """Which features and rows a model is trained on, and on which rows it is judged offline."""

    name: str
    features: str
    train: pd.Series
    test: pd.Series | None  # None: random folds of the training rows


def four_arms(rows: pd.DataFrame, cutoff: pd.Timestamp) -> list[Arm]:
    """The arms for a model that is trained at `cutoff`; `rows` needs both time stamps.

    The first two train on labels that became known only after it. The third leaves out each row
    whose label could still change, which is an embargo too. The fourth trains the third's model but
    judges it on random folds: the payments with one stolen card then fall on both sides.
    """
    time = rows["event_timestamp"]
    past, future = time < cutoff, time >= cutoff
    known = (rows["label_timestamp"] <= cutoff) & (time < cutoff - settings.label_maturity)
    return [
        Arm("latest value", "latest", past, future),
        Arm("by event time", "event time", past, future),
        Arm("as known", "as known", known, future),
        Arm("random split", "as known", known, None),
    ]


def labelled_rows() -> pd.DataFrame:
    """The payments that can be trained on or judged, in the order of time."""
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet").dropna(subset="label")
    time = raw["event_timestamp"]
    warm = time >= time.min() + settings.warm_up
    mature = time < dataset.as_of() - settings.label_maturity
    rows = raw[warm & mature].rename(columns={"amount": "transaction_amount"})
    sample = rows.sample(min(MAX_ROWS, len(rows)), random_state=settings.seed)
    return sample.sort_values("event_timestamp", ignore_index=True)


def feature_tables(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """MODEL_INPUTS of each of `rows`, by how they are joined; "served" is what Redis would hold."""
    asked = rows[[*KEYS, "transaction_amount"]]
    last_run = last_run_before(asked["event_timestamp"])
    joins = {
        "latest": get_training_data(asked.assign(event_timestamp=dataset.as_of())),
        "event time": get_training_data(asked, as_known=False),
        "as known": get_training_data(asked),
        "served": get_training_data(asked.assign(event_timestamp=last_run)),
    }
    return {name: table[MODEL_INPUTS] for name, table in joins.items()}


def last_run_before(times: pd.Series) -> pd.Series:
    """When Redis was last filled before each time; a run that starts at that moment is too late."""
    return times.dt.ceil(SCHEDULE) - SCHEDULE
