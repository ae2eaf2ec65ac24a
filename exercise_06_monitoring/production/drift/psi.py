"""The Population Stability Index of one feature."""

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift import statistics
from exercise_06_monitoring.production.drift.bins import (
    BINS,
    count_categories,
    count_values,
    edges_of_values,
)
from exercise_06_monitoring.production.drift.columns import frequencies, kind_of, numbers
from exercise_06_monitoring.production.drift.statistics import Counts


def psi_of(reference: pd.Series, current: pd.Series, bins: int = BINS) -> float:
    """PSI over quantile bins of the reference, or over its categories; nulls are one more bin.

    NaN if either has no rows.
    """
    counts = binned(reference, current, bins)
    return float(statistics.psi(*(side[None, :] for side in counts))[0])


def binned(reference: pd.Series, current: pd.Series, bins: int) -> tuple[Counts, Counts]:
    """How many rows of each are in each bin, the nulls last."""
    if kind_of(reference, current) == "category":
        counted = count_categories(frequencies(reference), frequencies(current))
        return (
            np.append(counted.reference, reference.isna().sum()),
            np.append(counted.current, current.isna().sum()),
        )
    before, now = numbers(reference), numbers(current)
    edges = edges_of_values(before[~np.isnan(before)], bins)
    return count_values(before, edges), count_values(now, edges)
