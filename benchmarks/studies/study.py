"""A data set's payments, their inputs and splits; exercise 4's model, trained on demand."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property

import pandas as pd

from benchmarks.studies.inputs import join, labelled_payments, streaming_features
from benchmarks.studies.scoring import Estimate, Flags, Floats, ScoredRows
from exercise_02_pit_training.generate_training_data import (
    AMOUNT,
    LABEL,
    LABEL_MATURITY,
    has_history,
)
from exercise_02_pit_training.splits import split_by_time
from exercise_04_serving.train_model import train, with_unknown_streaming
from lab.learn import settings

KINDS = {
    "five stored": (
        "transaction_count_7d",
        "transaction_count_30d",
        "avg_transaction_amount",
        "chargeback_rate",
        "total_transactions_30d",
    ),
    "+ amount, request": (
        AMOUNT,
        "amount_vs_avg_ratio",
        "is_large_transaction",
        "transaction_velocity",
    ),
    "+ merchant windows": ("transactions_24h_vs_daily_mean", "chargeback_count_30d"),
    "+ streaming": (),  # those of the service
}
STORED, REQUEST, BATCH, STREAMING = KINDS

Model = Callable[[pd.DataFrame], Floats]


class Study:
    """Payments older than `hindsight`, with their inputs at the time of each payment."""

    def __init__(self, hindsight: timedelta) -> None:
        self.rows = rows = labelled_payments(hindsight)
        self.inputs = join(rows).dropna(axis="columns", how="all")
        part = split_by_time(rows["event_timestamp"], has_history(self.inputs), LABEL_MATURITY)
        self.is_training, self.is_test = ((part == name).to_numpy() for name in ("train", "test"))
        self.test_rows, self.test_inputs = self.of_test(rows), self.of_test(self.inputs)
        self.scored = ScoredRows.of(self.test_rows, self.test_rows[LABEL], settings.seed)

    def of_test(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the test rows of a frame that has a row for each payment."""
        return frame[self.is_test].reset_index(drop=True)

    def names(self, kind: str) -> list[str]:
        """Return the inputs of a kind and of those before it."""
        kinds = KINDS | {STREAMING: tuple(streaming_features())}
        before = list(kinds)[: list(kinds).index(kind) + 1]
        return [name for k in before for name in kinds[k] if name in self.inputs]

    def fit(
        self,
        names: Sequence[str],
        inputs: pd.DataFrame | None = None,
        labels: pd.Series | None = None,
        chosen: Flags | None = None,
    ) -> Model:
        """Train on the training rows, or on `chosen` ones; return a function that scores rows."""
        inputs = self.inputs if inputs is None else inputs
        labels = self.rows[LABEL] if labels is None else labels
        chosen = self.is_training if chosen is None else chosen
        streaming = [name for name in streaming_features() if name in names]
        learned = with_unknown_streaming(inputs.loc[chosen, list(names)], streaming)
        model = train(learned, labels[chosen].astype(int))
        return lambda rows: model.predict_proba(rows[list(names)].to_numpy())[:, 1]

    @cached_property
    def models(self) -> dict[str, Model]:
        """Return the models by kind of feature."""
        return {kind: self.fit(self.names(kind)) for kind in KINDS}

    @cached_property
    def scores(self) -> dict[str, Floats]:
        """Return the scores of the test rows by kind of feature."""
        return {kind: model(self.test_inputs) for kind, model in self.models.items()}

    @cached_property
    def pr_auc(self) -> dict[str, Estimate]:
        """Return PR-AUC by kind of feature."""
        return {kind: self.scored.pr_auc(scores) for kind, scores in self.scores.items()}

    @property
    def best_batch(self) -> str:
        """Return the kind without streaming features that scores best."""
        return max(list(KINDS)[:-1], key=lambda kind: self.pr_auc[kind].value)
