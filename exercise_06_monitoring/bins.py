"""Read a feature's values as numbers and text, and count two samples of it in the same bins."""

from collections.abc import Set
from datetime import date, datetime
from numbers import Rational
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_list_like

MAX_CATEGORIES = 20
FLOAT32 = 1e-30, 2**24  # smaller values it loses; larger ones have no fraction
LARGEST = 1e300  # stands for infinity: edges lie between values


def read_column(values: Any) -> tuple[pd.Series, pd.Series]:
    """Return the numbers as float64, null in all other rows, and the rows that are text, as text.

    Booleans are 0 and 1, times and durations are seconds. Numbers are rounded as float32 rounds
    them, as online values are: equal rates would fall into two bins.
    """
    values = values.to_pandas() if hasattr(values, "to_pandas") else values  # of Polars or Arrow
    if not is_list_like(values):
        raise ValueError(f"a {type(values).__name__} is no column; pass a series or a list")
    values = list(values) if isinstance(values, Set) else values
    dtype = None if hasattr(values, "dtype") else object  # pandas reads no integer above floats
    column = pd.Series(values, dtype=dtype).reset_index(drop=True)
    column = column if isinstance(column.dtype, np.dtype) else column.astype(object)
    known = column.dropna()
    kind = infer_dtype(known)
    if kind.startswith("date"):  # in microseconds: nanoseconds end in the year 2262
        moments = pd.DatetimeIndex(known, dtype="datetime64[us, UTC]")
        known = pd.Series(moments.astype("int64") / 1e6, known.index)
    if kind == "time":
        known = known.map(lambda time: datetime.combine(date.min, time, None) - datetime.min)
    if kind.startswith("time"):  # of a day, or a duration
        durations = np.asarray(known, dtype="timedelta64[us]").astype("int64")
        known = pd.Series(durations / 1e6, known.index)
    if kind == "period":
        known = known.map(lambda period: period.ordinal)
    if kind == "complex":
        known = known.map(str)
    if kind.startswith(("integer", "mixed")) and known.dtype == object:
        known = known.map(to_float)
    rows, values = pd.factorize(known) if kind == "string" else (slice(None), known)  # to save time
    read = pd.to_numeric(values, errors="coerce").astype("float64")
    numbers = pd.Series(read.to_numpy()[rows], known.index).clip(-LARGEST, LARGEST)
    rounded = numbers.clip(-FLOAT32[1], FLOAT32[1]).astype("float32").astype("float64")
    numbers = numbers.mask(numbers.abs().between(*FLOAT32), rounded)
    text = column[numbers.index[numbers.isna()]].astype(object).map(str)
    return numbers.reindex(column.index), text


def to_float(value: Any) -> Any:
    """Return a fraction or an integer as float, other values as they are."""
    if not isinstance(value, Rational):
        return value
    bounded: Any = max(-LARGEST, min(value, LARGEST))
    return float(bounded)


def independent_rows(entities: pd.Series) -> float:
    """Return the number of independent rows: the rows of an entity are correlated.

    It is Kish's effective size; 10 rows of each of 100 entities are worth 100.
    """
    rows = entities.value_counts()
    return float(rows.sum() ** 2 / (rows**2).sum())


def bin_counts(
    reference: Any, current: Any, bins: int = 10, of_both: bool = False
) -> NDArray[np.int64]:
    """Count the values of both sides (rows) in each bin (columns) that is not empty.

    Numbers have quantile bins of the reference, or of both sides, open at both ends; a value that
    fills a whole bin, as zero often does, has its own. The 20 most frequent texts of both sides
    have one each, all others share one, and nulls have the last one.
    """
    if bins < 2:
        raise ValueError(f"num_bins is {bins}; use at least 2")
    sides = [read_column(side) for side in (reference, current)]
    measured = pd.concat([numbers for numbers, _ in sides]) if of_both else sides[0][0]
    edges = quantile_edges(measured.dropna(), bins)
    known = frequent_texts(pd.concat([text for _, text in sides]))
    counts = []
    for numbers, text in sides:
        filled = np.where(numbers.isna(), len(edges) + 1, edges.searchsorted(numbers))
        filled[text.index] = -2 - known.get_indexer(text)
        counts.append(pd.Series(filled).value_counts())
    table: NDArray[np.int64] = pd.concat(counts, axis=1).sort_index().fillna(0).to_numpy(np.int64)
    return table.T


def frequent_texts(texts: pd.Series) -> pd.Index:
    """Return the 20 most frequent texts that occur twice; of equally frequent ones the first."""
    rows, names = pd.factorize(texts)  # pandas' value_counts() takes three times as long
    counts = pd.Series(np.bincount(rows, minlength=len(names)), names)
    most = counts[counts > 1].nlargest(MAX_CATEGORIES, keep="all")
    return most.sort_index().nlargest(MAX_CATEGORIES).index


def quantile_edges(numbers: pd.Series, bins: int) -> NDArray[np.float64]:
    """Return the inner edges of quantile bins; both edges of a value that fills a whole bin.

    Edges are values, not means of two: the bins of logarithms are those of their numbers.
    """
    quantiles = numbers.quantile(np.linspace(0, 1, bins + 1), interpolation="lower").to_numpy()
    heavy = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    edges = [*quantiles[1:-1], *heavy, *np.nextafter(heavy, -np.inf)]
    return np.unique(np.array(edges, np.float64))
