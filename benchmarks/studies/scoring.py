"""Scores of models on the same rows, with paired 95 % intervals by users and by merchants.

Payments of one user are dependent, and so are those of one merchant. Each is resampled apart: a
user or a merchant gets a Poisson weight of mean 1, the same for all scores. The wider interval
counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.learn import settings

RESAMPLES = 200
RESAMPLED = {"users": "user_id", "merchants": "merchant_id"}

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A statistic, and its values for the resamples of the users and of the merchants, (2, n)."""

    value: float
    draws: Floats

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value - other.value, self.draws - other.draws)

    def __truediv__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value / other.value, self.draws / other.draws)

    def interval(self) -> tuple[float, float, str]:
        """Return the wider interval, and whose resamples gave it."""
        low, high = np.nanquantile(self.draws, [0.025, 0.975], axis=1)
        widest = int(np.argmax(high - low))
        return float(low[widest]), float(high[widest]), list(RESAMPLED)[widest]


Figures = Iterator[tuple[str, str, str, Estimate | float]]  # table, row, column, value


def as_frame(figures: Figures) -> pd.DataFrame:
    """Return a line for each figure: table, row, column, value, low, high, by."""
    lines = [
        (*place, figure.value, *figure.interval())
        if isinstance(figure, Estimate)
        else (*place, float(figure), np.nan, np.nan, "")
        for *place, figure in figures
    ]
    return pd.DataFrame(lines, columns=["table", "row", "column", "value", "low", "high", "by"])


@dataclass(frozen=True)
class ScoredRows:
    """Payments to score: the numbers of user and merchant, (2, n), and whether each is a fraud."""

    entities: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, rows: pd.DataFrame, labels: pd.Series) -> "ScoredRows":
        """Number the users and merchants of `rows`."""
        numbers = [pd.factorize(rows[key])[0] for key in RESAMPLED.values()]
        return cls(np.stack(numbers), labels.to_numpy(np.int64))

    def subset(self, chosen: Flags | NDArray[np.intp]) -> "ScoredRows":
        """Return the chosen rows, in their order."""
        return ScoredRows(self.entities[:, chosen], self.labels[chosen])

    @cached_property
    def weights(self) -> list[NDArray[np.int64]]:
        """Return for users and for merchants a row of weights for each resample."""
        random = np.random.default_rng(settings.seed)
        return [random.poisson(1, (RESAMPLES, numbers.max() + 1)) for numbers in self.entities]

    def estimate(self, statistic: Callable[[Floats], float]) -> Estimate:
        """Return a statistic of weighted rows."""
        draws = [
            [statistic(draw[numbers].astype(float)) for draw in weights]
            for numbers, weights in zip(self.entities, self.weights, strict=True)
        ]
        return Estimate(statistic(np.ones(len(self.labels))), np.array(draws))

    def pr_auc(self, scores: Floats) -> Estimate:
        """Return PR-AUC by scikit-learn's definition; sorted once for all resamples."""
        order = np.argsort(-scores, kind="stable")
        ranked, descending = self.subset(order), -scores[order]
        frauds = np.flatnonzero(ranked.labels)
        last_of_tie = np.searchsorted(descending, descending[frauds], side="right") - 1
        last_fraud = np.searchsorted(frauds, last_of_tie, side="right") - 1

        def weighted(weights: Floats) -> float:
            found = weights[frauds]
            predicted = np.cumsum(weights)[last_of_tie]
            precision = np.cumsum(found)[last_fraud] / np.maximum(predicted, 1)
            return float(found @ precision / found.sum()) if found.any() else np.nan

        return ranked.estimate(weighted)
