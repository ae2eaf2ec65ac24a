"""Pairs of samples whose verdict does not depend on how they are binned or smoothed.

Clear pairs are drawn evenly over one distribution, so that no test sees a difference in them. In
drifted ones at least 30 % of the values moved: by quantiles or by equal widths, whatever is added
to empty bins, their PSI is above 0.25. Where the moved values lie outside all of the reference's, a
histogram over the reference's range counts nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

REFERENCE_ROWS = 2_000
CURRENT_ROWS = (500, 800, 1_500, 3_000)
MOVED = 0.3
ZEROS = 0.55

Values = NDArray[np.float64]


def mostly_zero(u: Values) -> Values:
    """Quantiles of counts of which more than half are zero."""
    others: Values = 1 + stats.poisson(6).ppf((u - ZEROS).clip(0) / (1 - ZEROS))
    values: Values = np.where(u < ZEROS, 0, others)
    return values


SHAPES: dict[str, Callable[[Values], Values]] = {
    "amounts": stats.norm(100, 20).ppf,
    "skewed amounts": stats.lognorm(0.5, scale=50).ppf,
    "rates": stats.beta(5, 60).ppf,
    "counts": stats.poisson(42).ppf,
    "mostly zero counts": mostly_zero,
}


def some_above(current: Values, reference: Values) -> Values:
    """30 % are larger than all of the reference's."""
    values: Values = np.where(_some(current), 1.1 * reference.max() + current, current)
    return values


def all_alike(current: Values, reference: Values) -> Values:
    """All are inside the reference's range, near one value of it."""
    place = float(np.quantile(reference, 0.9))
    values: Values = np.round(place + (current - current.mean()) / 50, 3)
    return values


def all_larger(current: Values, reference: Values) -> Values:
    """All are larger, by two standard deviations."""
    return current + round(2 * float(reference.std()), 2)


def in_cents(current: Values, _: Values) -> Values:
    """The unit has changed."""
    return current * 100


DRIFTS = (some_above, all_alike, all_larger, in_cents)


@dataclass(frozen=True)
class Pair:
    """Reference and current values of one feature, and whether they drifted."""

    name: str
    reference: pd.Series
    current: pd.Series
    drifted: bool


def pairs(seed: int) -> Iterator[Pair]:
    """20 clear pairs and 20 drifted ones, as many of each shape, in an order that tells nothing."""
    made = list(_by_shape(seed))
    order = np.random.default_rng([seed, 62]).permutation(len(made))
    return (made[place] for place in order)


def _by_shape(seed: int) -> Iterator[Pair]:
    random = np.random.default_rng([seed, 61])
    for shape, quantiles in SHAPES.items():
        for drift, rows in zip(DRIFTS, CURRENT_ROWS, strict=True):
            reference, current, other = (
                quantiles(_evenly(size, random)) for size in (REFERENCE_ROWS, rows, rows)
            )
            yield Pair(f"{shape}, the same", _series(reference), _series(current), False)
            moved = drift(other, reference)
            yield Pair(f"{shape}, {drift.__name__}", _series(reference), _series(moved), True)


def with_nulls(pair: Pair) -> Pair:
    """The same pair with every tenth value missing."""
    reference, current = (
        series.mask(series.index % 10 == 0) for series in (pair.reference, pair.current)
    )
    return Pair(f"{pair.name}, with nulls", reference, current, pair.drifted)


def _evenly(size: int, random: np.random.Generator) -> Values:
    """Probabilities in random order, one in each of `size` equal parts of 0 to 1."""
    return random.permutation((np.arange(size) + random.uniform(0.1, 0.9, size)) / size)


def _some(values: Values) -> NDArray[np.bool_]:
    """Which ones move; the order of the values is random."""
    return np.arange(len(values)) < MOVED * len(values)


def _series(values: Values) -> pd.Series:
    """Whole numbers as such."""
    is_whole = bool((values == np.floor(values)).all())
    return pd.Series(values.astype("int64") if is_whole else values, name="feature")
