"""Scores of models on the same rows, with paired 95 % intervals by users and by merchants.

Payments of one user are dependent, and so are those of one merchant. Each is resampled apart: a
user or a merchant gets a Poisson weight of mean 1, the same for all scores. The wider interval
counts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RESAMPLES = 200

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A statistic, and its value for each resample of the users and of the merchants."""

    value: float
    draws: Mapping[str, Floats]

    def __sub__(self, other: "Estimate") -> "Estimate":
        return self._paired(np.subtract, other)

    def __truediv__(self, other: "Estimate") -> "Estimate":
        return self._paired(np.divide, other)

    def _paired(self, operation: Callable[..., Any], other: "Estimate") -> "Estimate":
        draws = {name: operation(draw, other.draws[name]) for name, draw in self.draws.items()}
        return Estimate(float(operation(self.value, other.value)), draws)

    def interval(self) -> tuple[float, float, str]:
        """Return the wider interval, and whose resamples gave it."""
        ranges = {name: np.nanquantile(draw, [0.025, 0.975]) for name, draw in self.draws.items()}
        by = max(ranges, key=lambda name: float(ranges[name][1] - ranges[name][0]))
        return float(ranges[by][0]), float(ranges[by][1]), by


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
    """Payments to score, (n,): the numbers of user and merchant, whether it is fraud, a seed."""

    entities: Mapping[str, NDArray[np.int64]]
    labels: NDArray[np.int64]
    seed: int

    @classmethod
    def of(cls, rows: pd.DataFrame, labels: pd.Series, seed: int) -> "ScoredRows":
        """Number the users and merchants of `rows`."""
        keys = {"users": "user_id", "merchants": "merchant_id"}
        numbers = {name: pd.factorize(rows[key])[0] for name, key in keys.items()}
        return cls(numbers, labels.to_numpy(np.int64), seed)

    def subset(self, chosen: Flags | NDArray[np.intp]) -> "ScoredRows":
        """Return the chosen rows, in their order."""
        entities = {name: numbers[chosen] for name, numbers in self.entities.items()}
        return ScoredRows(entities, self.labels[chosen], self.seed)

    @cached_property
    def _weights(self) -> dict[str, NDArray[np.int64]]:
        """Return a row of weights by entity for each resample."""
        random = np.random.default_rng(self.seed)
        sizes = {name: numbers.max() + 1 for name, numbers in self.entities.items()}
        return {name: random.poisson(1, (RESAMPLES, size)) for name, size in sizes.items()}

    def estimate(self, statistic: Callable[[Floats], float]) -> Estimate:
        """Return a statistic of weighted rows."""
        draws = {
            name: np.array([statistic(draw[self.entities[name]].astype(float)) for draw in weights])
            for name, weights in self._weights.items()
        }
        return Estimate(statistic(np.ones(len(self.labels))), draws)

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
