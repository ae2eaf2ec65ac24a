"""Pairs of samples whose verdict does not depend on how they are binned or smoothed.

Clear pairs are drawn evenly over one distribution, so that no test sees a difference in them. In
drifted ones at least 30 % of the values moved: by quantiles or by equal widths, whatever is added
to empty bins, their PSI is above 0.25. Where the moved values lie outside all of the reference's, a
histogram over the reference's range counts nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

REFERENCE_ROWS = 2_000
CURRENT_ROWS = (500, 800, 1_500, 2_000, 3_000)
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


def both_ends(current: Values, reference: Values) -> Values:
    """All are at the ends of the range; the mean is that of the reference."""
    low, high = reference.min(), reference.max()
    share = (reference.mean() - low) / (high - low)
    values: Values = np.where(np.arange(len(current)) < share * len(current), high, low)
    return values


DRIFTS = (some_above, all_alike, all_larger, in_cents, both_ends)

SIGNIFICANT, STRICT = 0.05, 0.001  # the brief's threshold of p, and a stricter one
NO_DRIFT, DRIFT = 0.1, 0.25  # the brief's bands of PSI
KNOWN_RANGE = (20, 120)
# Rows, and their share in the lower half of an even reference: any bins give the same PSI
KNOWN = ((1_500, 0.3), (800, 0.2), (3_000, 0.85), (500, 0.1))
WEAK = (200, 0.38)  # p is 0.01
PSI_TOLERANCE, LEAST_TOLERANCE = 0.25, 0.03  # an odd number of bins splits one at the middle
KS_TOLERANCE = 0.05
FEW = 20  # rows, in which a smoothing that does not cancel out weighs most


@dataclass(frozen=True)
class Pair:
    """Reference and current values of one feature, whether they drifted, and the known PSI."""

    name: str
    reference: pd.Series
    current: pd.Series
    drifted: bool
    psi: float | None = None
    threshold: float = SIGNIFICANT

    @property
    def psi_band(self) -> tuple[float, float]:
        """Return the limits of a right PSI."""
        if self.psi is None:
            return (DRIFT, np.inf) if self.drifted else (-np.inf, NO_DRIFT)
        tolerance = max(PSI_TOLERANCE * self.psi, LEAST_TOLERANCE)
        return self.psi - tolerance, self.psi + tolerance

    def expected(self, is_psi: bool) -> str:
        """Return the right answer for a counter-example."""
        if is_psi and self.psi is not None:
            return f"{self.psi:.2f}"
        return "drift" if self.drifted else "none"

    def is_right_psi(self, psi: float) -> bool:
        low, high = self.psi_band
        return low < psi < high

    def is_right_ks(self, has_drift: bool, statistic: float, p_value: float) -> bool:
        """Return whether a result agrees with the pair, and with itself."""
        exact = stats.ks_2samp(self.reference, self.current, method="asymp").statistic
        is_significant = bool(p_value < self.threshold)
        is_plausible = 0 <= p_value <= 1 and abs(statistic - exact) <= KS_TOLERANCE
        return is_plausible and has_drift is self.drifted and is_significant is self.drifted


def pairs(seed: int) -> Iterator[Pair]:
    """Yield clear pairs, drifted ones and those of known PSI, in a random order."""
    made = [*_by_shape(seed), *_of_known_psi(seed), _few(seed)]
    order = np.random.default_rng([seed, 62]).permutation(len(made))
    return (made[place] for place in order)


def _by_shape(seed: int) -> Iterator[Pair]:
    random = np.random.default_rng([seed, 61])
    for turn, (shape, quantiles) in enumerate(SHAPES.items()):
        for drift, rows in zip(DRIFTS, np.roll(CURRENT_ROWS, turn), strict=True):
            reference, current, other = (
                quantiles(_evenly(size, random)) for size in (REFERENCE_ROWS, rows, rows)
            )
            yield Pair(f"{shape}, the same", _series(reference), _series(current), False)
            moved = drift(other, reference)
            yield Pair(f"{shape}, {drift.__name__}", _series(reference), _series(moved), True)


def _of_known_psi(seed: int) -> Iterator[Pair]:
    """Yield pairs whose shares differ between the halves of the range only."""
    random = np.random.default_rng([seed, 63])
    for rows, lower in KNOWN:
        yield _in_halves(rows, lower, random)
    weak = _in_halves(*WEAK, random)
    yield weak
    name = f"{weak.name}, threshold {STRICT:g}"
    yield replace(weak, name=name, drifted=False, threshold=STRICT)


def _in_halves(rows: int, lower: float, random: np.random.Generator) -> Pair:
    even, shares = _evenly(REFERENCE_ROWS, random), [0, lower, 1]
    moved = np.interp(_evenly(rows, random), shares, [0, 0.5, 1])
    reference, current = (_series(np.interp(u, [0, 1], KNOWN_RANGE)) for u in (even, moved))
    psi = (lower - 0.5) * np.log(lower / (1 - lower))
    return Pair(f"{lower:.0%} in the lower half", reference, current, True, float(psi))


def _few(seed: int) -> Pair:
    """Return a pair with the same values in another order."""
    random = np.random.default_rng([seed, 66])
    values = SHAPES["amounts"](_evenly(FEW, random))
    current = _series(random.permutation(values))
    return Pair(f"{FEW} amounts, in another order", _series(values), current, False)


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
    """Choose those that move; the order of the values is random."""
    return np.arange(len(values)) < MOVED * len(values)


def _series(values: Values) -> pd.Series:
    """Whole numbers as such."""
    is_whole = bool((values == np.floor(values)).all())
    return pd.Series(values.astype("int64") if is_whole else values, name="feature")
