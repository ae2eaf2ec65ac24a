"""PR-AUC on the same payments, with paired 95 % intervals by users and by merchants.

Payments of one user are dependent, and so are those of one merchant. Each is resampled apart, with
a Poisson weight of mean 1 that is the same for all scores. The wider interval counts.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from exercise_02_pit_training.generate_training_data import LABEL
from lab.learn import settings

RESAMPLES = 200
COLUMNS = ["table", "row", "column", "value", "low", "high", "by", "text"]
RESAMPLED = ("users", "merchants")  # columns with their numbers

Floats = NDArray[np.float64]
Estimate = Floats  # (2, 1 + n), by users and by merchants: a statistic, then its resamples


def estimate(rows: pd.DataFrame, statistic: Callable[[Floats], float]) -> Estimate:
    """Return a statistic of the weights of rows."""
    random, estimates = np.random.default_rng(settings.seed), []
    for numbers in (rows[name].to_numpy() for name in RESAMPLED):
        weights = random.poisson(1, (RESAMPLES, numbers.max() + 1))
        weights = np.vstack([np.ones_like(weights[0]), weights]).astype(float)
        estimates.append([statistic(of_entities[numbers]) for of_entities in weights])
    return np.array(estimates)


def pr_auc(rows: pd.DataFrame, scores: Floats, label: str = LABEL) -> Estimate:
    """Return PR-AUC of scored rows."""
    order = np.argsort(scores, kind="stable")  # sorted once, each resample takes half the time
    rows, scores, labels = rows.iloc[order], scores[order], rows[label].to_numpy(int)[order]
    return estimate(rows, lambda w: average_precision_score(labels, scores, sample_weight=w))


def as_lines(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a line for each cell: a text, a number, or an estimate with its wider interval."""
    lines = []
    for name, table in tables.items():
        for place, cell in table.stack().items():
            value, low, high, by, text = cell, np.nan, np.nan, None, None
            if isinstance(cell, str):
                value, text = np.nan, cell
            elif isinstance(cell, np.ndarray):
                ends = np.nanquantile(cell[:, 1:], [0.025, 0.975], axis=1)
                widest = int(np.argmax(ends[1] - ends[0]))
                value, (low, high), by = cell[0, 0], ends[:, widest], RESAMPLED[widest]
            lines.append((name, *place, float(value), low, high, by, text))
    return pd.DataFrame(lines, columns=COLUMNS)
