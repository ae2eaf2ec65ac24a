"""Read a feature's values as numbers, and count two samples of it in the same bins."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_numeric_dtype

MAX_CATEGORIES = 20


def read_column(values: Any) -> pd.Series:
    """Return numbers as float64, or text if one of the values is no number.

    Booleans are 0 and 1, times and durations are seconds, infinities null. Numbers are rounded to
    float32, as online values are: equal rates would fall into two bins.
    """
    column = pd.Series(values).reset_index(drop=True)
    column = column if isinstance(column.dtype, np.dtype) else column.astype(object)
    known = column.dropna()
    kind = infer_dtype(known)
    if kind.startswith("date"):
        known = pd.to_datetime(known, utc=True) - pd.Timestamp(0, tz="UTC")
    if kind.startswith(("date", "timedelta")):
        known = pd.to_timedelta(known).dt.total_seconds()
    numbers = pd.to_numeric(known, errors="coerce").astype("float32").astype("float64")
    if numbers.isna().any():
        return column.map(str, "ignore")
    return numbers.where(np.isfinite(numbers)).reindex(column.index)


def independent_rows(entities: pd.Series) -> float:
    """Return the number of independent rows: the rows of an entity are correlated.

    It is Kish's effective size; 10 rows of each of 100 entities are worth 100.
    """
    rows = entities.value_counts()
    return float(rows.sum() ** 2 / (rows**2).sum())


def bin_counts(
    reference: Any, current: Any, bins: int = 10, of_both: bool = False
) -> NDArray[np.int64]:
    """Count the values of both sides (rows) in each bin (columns); nulls are in the last.

    Numbers have quantile bins of the reference, or of both sides, open at both ends; a value that
    fills a whole bin, as zero often does, has its own. Categories have the 20 most frequent ones of
    both sides, so that a new one has a bin, then all others and those that occur once.
    """
    reference, current = read_column(reference), read_column(current)
    both = pd.concat([reference, current])
    if is_numeric_dtype(reference) and is_numeric_dtype(current):
        values = both if of_both else reference
        quantiles = values.dropna().quantile(np.linspace(0, 1, bins + 1)).to_numpy()
        heavy = quantiles[1:][quantiles[1:] == quantiles[:-1]]
        edges = np.unique([*quantiles[1:-1], *heavy, *np.nextafter(heavy, -np.inf)])
        edges = edges[np.isfinite(edges)]
        numbers, nulls = [edges.searchsorted(side) for side in (reference, current)], len(edges) + 1
    else:
        frequent = both.value_counts().sort_index().sort_values(ascending=False, kind="stable")
        known = frequent[frequent > 1].index[:MAX_CATEGORIES]
        nulls = len(known) + 1
        numbers = [known.get_indexer(side) % nulls for side in (reference, current)]
    sides = zip((reference, current), numbers, strict=True)
    filled = [np.where(side.isna(), nulls, number) for side, number in sides]
    return np.array([np.bincount(number, minlength=nulls + 1) for number in filled])
