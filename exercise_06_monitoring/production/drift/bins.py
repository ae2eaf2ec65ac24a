"""Bins of one feature: by quantiles of the reference for numbers, by frequency for categories."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift.statistics import Counts, Floats, ranks

BINS = 10
CATEGORIES = 20
OTHER, NEW = "(other)", "(new)"


def quantile_ranks(rows: int, bins: int) -> Counts:
    """Where the quantiles that separate `bins` bins are among so many sorted values, ends too."""
    even: Counts = np.arange(bins + 1) * rows // bins
    return np.minimum(even, rows - 1)


def edges_of(quantiles: Floats) -> Floats:
    """The inner edges of bins (a, b] from quantiles; the first and the last bin are open.

    A value that fills a whole bin or more (the zero of a rare count, a constant) gets a bin of its
    own, so that what moves away from it is seen on either side; that can make a few bins more.
    """
    heavy = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    edges: Floats = np.concatenate([quantiles[1:-1], heavy, np.nextafter(heavy, -np.inf)])
    return np.unique(edges)


def edges_of_values(values: Floats, bins: int) -> Floats:
    """The edges by quantiles of known values in any order."""
    if len(values) == 0:
        return np.empty(0)
    at = quantile_ranks(len(values), bins)
    return edges_of(np.partition(values, at)[at])


def edges_of_sorted(values: Floats, bins: int) -> Floats:
    """The edges by quantiles of sorted values."""
    return edges_of(values[quantile_ranks(len(values), bins)]) if len(values) else np.empty(0)


def count_values(values: Floats, edges: Floats) -> Counts:
    """How many values, in any order, are in each bin, then how many are null (NaN).

    A dozen comparisons of all values take a fifth of the time of one search among a dozen edges.
    """
    known = len(values) - np.count_nonzero(np.isnan(values))
    up_to = [np.count_nonzero(values <= edge) for edge in edges]
    return np.diff([0, *up_to, known, len(values)])


def count_sorted(values: Floats, edges: Floats) -> Counts:
    """How many of the sorted values are in each bin."""
    return np.diff(ranks(values, edges), prepend=0, append=len(values))


@dataclass(frozen=True)
class CategoryCounts:
    """The most frequent categories of the reference, then the others, then what it does not know.

    The last bin tells how often one meets something new: in the current window the rows whose
    category the reference lacks; in the reference the rows whose category it has once, which is as
    much as another window of the same distribution would have (Good, 1953). `newcomer` is the most
    frequent of the new categories, with its rows.
    """

    labels: tuple[str, ...]
    reference: Counts
    current: Counts
    newcomer: tuple[str, int] | None


def count_categories(before: pd.Series, now: pd.Series) -> CategoryCounts:
    """From how often each category comes up in the two windows, the most frequent first."""
    top, rare = before.iloc[:CATEGORIES], before.iloc[CATEGORIES:]
    once = int((rare == 1).sum())
    newcomers = now[~now.index.isin(before.index)]
    new = int(newcomers.sum())
    top_now = now.reindex(top.index, fill_value=0)
    other_now = int(now.sum() - top_now.sum()) - new
    return CategoryCounts(
        (*top.index, OTHER, NEW),
        np.array([*top, int(rare.sum()) - once, once], dtype=np.int64),
        np.array([*top_now, other_now, new], dtype=np.int64),
        (newcomers.index[0], int(newcomers.iloc[0])) if new else None,
    )
