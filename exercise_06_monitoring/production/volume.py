"""Compare a view's rows of a day with the same weekday of the four weeks before.

The median of the last days adapts: on its fifth day a loss of 90 % is usual. The median of four
equal weekdays does not adapt in a week; days that alerted are left out of it.
"""

from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.production.alerted_days import alerted_days, record_alerted_day
from exercise_06_monitoring.quality import check_of
from exercise_06_monitoring.windows import DAY, WEEK, Tables

WEEKS = 4
LOWEST, HIGHEST = 0.5, 2.0  # times the usual number
CHANCE = 0.001


def check_volumes(tables: Tables, now: datetime) -> Iterator[Check]:
    """Yield a check for each view."""
    for view, rows in tables:
        days = alerted_days("data_quality", f"{view.name}.volume")
        check = check_volume(view, rows["moment"], now, days)
        record_alerted_day(check, now)
        yield check


def check_volume(
    view: Any, moments: pd.Series, now: datetime, alerted: Collection[date] = ()
) -> Check:
    """Check the rows of the last day, by event time; unknown with less than four weeks before.

    Weeks that alerted are no reference, unless all four did: then the change is the new usual.
    """
    ends = [now - week * WEEK for week in range(WEEKS + 1)]
    counts = [int(((moments > end - DAY) & (moments <= end)).sum()) for end in ends]
    weeks = range(1, WEEKS + 1)
    quiet = [week for week in weeks if ends[week].date() not in alerted] or weeks
    before = [counts[week] for week in quiet]
    usual = float(np.median(before))
    is_known = len(moments) > 0 and moments.min() <= ends[WEEKS] and usual > 0
    is_usual = LOWEST * usual <= counts[0] <= HIGHEST * usual
    # Of few rows half as many are chance: equal rates put the same share into each of the days.
    rows = counts[0] + sum(before)
    chance = stats.binomtest(counts[0], max(rows, 1), 1 / (1 + len(before))).pvalue
    passed = bool(is_usual or chance > CHANCE) if is_known else None
    message = f"{counts[0]:,} rows in a day; {usual:,.0f} on this weekday in the last four weeks"
    return check_of(view, "volume", passed, message, "critical")
