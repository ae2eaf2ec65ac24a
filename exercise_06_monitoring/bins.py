"""Count two samples of a feature in the same bins."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

MAX_CATEGORIES = 20


def as_numbers(values: pd.Series) -> pd.Series:
    """Return float64 with infinities as NaN, rounded to float32.

    Offline values are float64 where online ones are float32: equal rates would fall into two bins.
    """
    numbers = pd.to_numeric(values, errors="coerce").astype("float32").astype("float64")
    return numbers.where(np.isfinite(numbers))


def bin_counts(reference: pd.Series, current: pd.Series, bins: int = 10) -> NDArray[np.int64]:
    """Count the values of both sides (rows) in each bin (columns); nulls are in the last.

    Numbers have quantile bins of the reference, open at both ends; a value that fills a whole bin,
    as zero often does, has its own. Categories have the 20 most frequent ones of both sides, so
    that a new one has a bin, then all others.
    """
    if is_numeric_dtype(reference):
        reference, current = as_numbers(reference), as_numbers(current)
        quantiles = reference.dropna().quantile(np.linspace(0, 1, bins + 1)).to_numpy()
        heavy = quantiles[1:][quantiles[1:] == quantiles[:-1]]
        edges = np.unique([*quantiles[1:-1], *heavy, *np.nextafter(heavy, -np.inf)])
        edges = edges[np.isfinite(edges)]
        numbers, nulls = [edges.searchsorted(side) for side in (reference, current)], len(edges) + 1
    else:
        known = pd.concat([reference, current]).value_counts().index[:MAX_CATEGORIES]
        nulls = len(known) + 1
        numbers = [known.get_indexer(side) % nulls for side in (reference, current)]
    sides = zip((reference, current), numbers, strict=True)
    filled = [np.where(side.isna(), nulls, number) for side, number in sides]
    return np.array([np.bincount(number, minlength=nulls + 1) for number in filled])
