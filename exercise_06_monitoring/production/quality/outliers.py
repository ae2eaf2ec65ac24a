"""Which values of a column are outliers: by the brief's fences, and by a rule for long tails."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FENCE = 1.5  # interquartile ranges beyond the quartiles
MODIFIED_Z = 3.5
LONG_TAIL = 2.4
OFTEN = 0.25

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Outliers:
    """Shares of the values that are outliers by Tukey's fences, and on a logarithmic scale.

    `robust` is None for a column without a long tail, which the fences judge well.
    """

    tukey: float = 0
    robust: float | None = None


def outliers(values: Values) -> Outliers:
    """Of finite values. Where the quartiles are equal there is no scale to judge by: none.

    Tukey's fences call a part of a healthy long tail outliers: a seventh of a wide log-normal one.
    """
    if not len(values):
        return Outliers()
    low, high = np.quantile(values, [0.25, 0.75])
    reach = FENCE * (high - low)
    if reach == 0:
        return Outliers()
    outside = (values < low - reach) | (values > high + reach)
    return Outliers(float(outside.mean()), _robust(values) if _has_long_tail(values) else None)


def _has_long_tail(values: Values) -> bool:
    """Whether values crowd towards zero, or are zero; read from where no wild value is.

    The second quarter is 1.1 times as wide as the 15 % below it in a normal column, 2.1 times in a
    log-normal one of sigma 1, 2.9 times at sigma 1.5. Small counts have no such shape to read.
    """
    positive = values[values > 0]
    if values.min() < 0 or not len(positive):
        return False
    tenth, quarter, half = np.quantile(positive, [0.1, 0.25, 0.5])
    is_often_zero = np.mean(values == 0) >= OFTEN
    return bool(
        quarter > tenth and (is_often_zero or half - quarter > LONG_TAIL * (quarter - tenth))
    )


def _robust(values: Values) -> float:
    """Share of modified z-scores above 3.5 among logarithms (Iglewicz and Hoaglin, 1993).

    Half of the values may be wild before it fails. Zeros, which have no logarithm, are none.
    """
    logs = np.log(values[values > 0])
    distance = np.abs(logs - np.median(logs))
    typical = np.median(distance)
    if typical == 0:
        return 0.0
    return float((0.6745 * distance / typical > MODIFIED_Z).sum() / len(values))
