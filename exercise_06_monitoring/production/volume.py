"""Compare a view's rows of a day with the same weekday of the four weeks before.

The median of the last days adapts: on its fifth day a loss of 90 % is usual. The median of four
equal weekdays does not adapt in a week, and one of them may be an incident itself.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd
from scipy import stats

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.quality import check_of
from exercise_06_monitoring.windows import DAY, WEEK, Tables

WEEKS = 4
LOWEST, HIGHEST = 0.5, 2.0  # times the usual number
CHANCE = 0.001


def check_volumes(tables: Tables, now: datetime) -> Iterator[Check]:
    """Yield a check for each view."""
    for view, rows in tables:
        yield check_volume(view, rows["moment"], now)


def check_volume(view: Any, moments: pd.Series, now: datetime) -> Check:
    """Check the rows of the last day, by event time; unknown with less than four weeks before."""
    counts = [
        int(((moments > now - week * WEEK - DAY) & (moments <= now - week * WEEK)).sum())
        for week in range(WEEKS + 1)
    ]
    usual = float(pd.Series(counts[1:]).median())
    is_known = len(moments) > 0 and moments.min() <= now - WEEKS * WEEK and usual > 0
    is_usual = LOWEST * usual <= counts[0] <= HIGHEST * usual
    # Of few rows half as many are chance: equal rates put a fifth of all five days' into one.
    chance = stats.binomtest(counts[0], max(sum(counts), 1), 1 / len(counts)).pvalue
    passed = bool(is_usual or chance > CHANCE) if is_known else None
    message = f"{counts[0]:,} rows in a day; {usual:,.0f} on this weekday in the last four weeks"
    return check_of(view, "volume", passed, message, "critical")
