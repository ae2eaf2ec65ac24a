"""Four training variants: ways to build a model's training data; three of them leak."""

from dataclasses import dataclass
from functools import partial

import pandas as pd

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW
from exercise_02_pit_training.generate_training_data import (
    AMOUNT,
    KEYS,
    SERVICE,
    get_training_data,
    model_inputs,
)
from lab.feature_store import open_store, service_definition
from lab.learn import as_of
from lab.settings import settings

MAX_ROWS = 200_000  # of more a seeded sample, which keeps the experiment at minutes
SCHEDULE = pd.Timedelta(hours=1)  # of the incremental materialization


@dataclass(frozen=True)
class Variant:
    """The features, rows and labels that a model is trained on, and the rows of its offline test.

    Without a `test` the model is tested on random folds of the training rows.
    """

    name: str
    features: str
    train: pd.Series
    test: pd.Series | None
    labels_of: pd.Timestamp | None = None

    def labels(self, rows: pd.DataFrame) -> pd.Series:
        """Return the training labels; those of `labels_of` lack the frauds reported since."""
        if self.labels_of is None:
            return rows["label"]
        return rows["label"].where(rows["label_timestamp"] <= self.labels_of, 0)


def training_variants(rows: pd.DataFrame, cutoff: pd.Timestamp) -> list[Variant]:
    """The variants for a model that is trained at `cutoff`; `rows` needs both time stamps.

    The first two train on labels that became known only after it. The third trains on the rows
    whose label was mature then, which is an embargo too, with the labels of that moment: a fraud
    that was reported later still counted as honest. The fourth trains the third's model but is
    tested on random folds: the payments with one stolen card then fall on both sides.
    """
    time = rows["event_timestamp"]
    past, future = time < cutoff, time >= cutoff
    mature = time < cutoff - settings.label_maturity
    return [
        Variant("latest value", "latest", past, future),
        Variant("by event time", "event time", past, future),
        Variant("point in time", "point in time", mature, future, cutoff),
        Variant("random split", "point in time", mature, None, cutoff),
    ]


def labelled_rows() -> pd.DataFrame:
    """Return the payments for training and test, in the order of time."""
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet").dropna(subset="label")
    time = raw["event_timestamp"]
    is_full = time >= time.min() + settings.warm_up
    mature = time < as_of() - settings.label_maturity
    rows = raw[is_full & mature].rename(columns={"amount": "transaction_amount"})
    sample = rows.sample(min(MAX_ROWS, len(rows)), random_state=settings.seed)
    return sample.sort_values("event_timestamp", ignore_index=True)


def feature_tables(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the model's inputs of each of `rows`, by how they are joined.

    "served" is what Redis would hold: batch features of the last run, streaming features of the
    moment.
    """
    payments = rows[[*KEYS, AMOUNT]]
    last_run = last_run_before(payments["event_timestamp"])
    join = partial(get_training_data, store=open_store("plugins"), rows_per_join=len(payments))
    joins = {
        "latest": join(payments.assign(event_timestamp=as_of())),
        "event time": join(payments, filter_by_created_timestamp=False),
        "point in time": join(payments),
        "served": join(payments.assign(event_timestamp=last_run)),
    }
    streaming = list(service_definition(open_store(), SERVICE).views[STREAMING_VIEW])
    joins["served"][streaming] = joins["point in time"][streaming]
    return {name: model_inputs(table) for name, table in joins.items()}


def last_run_before(times: pd.Series) -> pd.Series:
    """When Redis was last filled before each time; a run that starts at that moment is too late."""
    return times.dt.ceil(SCHEDULE) - SCHEDULE
