"""Grade drift by limits that come from the data's own quiet weeks.

The PSI of a quiet week depends on the number of entities, on the correlation of their rows, and on
the week. Whole weeks and whole entities are therefore resampled: each resample compares one week of
the reference with its others. PSI hardly sees slow growth, nor the few values above zero of a rare
count: ratios to training with an interval by entity do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.bins import MAX_CATEGORIES, independent_rows, read_column
from exercise_06_monitoring.report import PSI_CRITICAL, PSI_SIGNIFICANT
from lab.learn import settings

NOW = 0  # the week of the newest rows
MONTH = 4  # weeks whose growth is compared with training
BINS, RESAMPLES, MAX_P_VALUE = 10, 199, 0.01
MIN_UNITS = 200  # of fewer, chance alone gives a PSI of 0.25
MOST_GROWTH, MOST_SHARE, Z = 1.25, 2.0, 2.58  # intervals of 99 %


@dataclass(frozen=True)
class Comparison:
    """PSI, its p-value among resampled quiet weeks, rows, and the independent rows among them."""

    psi: float
    p_value: float
    rows: int
    units: float

    @property
    def passed(self) -> bool | None:
        """Return None without a reference or rows; few units are never an alert."""
        if np.isnan(self.psi):
            return None
        is_large = self.psi > PSI_SIGNIFICANT and self.units >= MIN_UNITS
        return not (is_large and self.p_value <= MAX_P_VALUE)

    def __str__(self) -> str:
        few = "" if self.units >= MIN_UNITS else f"; no alert below {MIN_UNITS} units"
        return (
            f"PSI {self.psi:.2f}, p {self.p_value:.3f} among quiet weeks; {self.rows:,} rows are "
            f"worth {self.units:,.0f} units{few}"
        )


def compare_weeks(rows: pd.DataFrame) -> Comparison:
    """Compare week 0 with the others; the rows have entity, week and value."""
    weeks, week_names = pd.factorize(rows["week"], sort=True)
    if len(week_names) < 3 or week_names[0] != NOW:
        return Comparison(np.nan, np.nan, len(rows), 0)
    entities, names = pd.factorize(rows["entity"])
    codes = bin_codes(rows["value"])
    counts = np.zeros((len(week_names), len(names), codes.max() + 1))
    np.add.at(counts, (weeks, entities, codes), 1)
    current, reference, total = counts[0], counts[1:], counts[1:].sum(axis=0)
    psi = psi_of(total.sum(axis=0), current.sum(axis=0))
    random = np.random.default_rng(settings.seed)
    exceeding = 0
    for _ in range(RESAMPLES):
        week = reference[random.integers(len(reference))]
        of_week, of_others = random.poisson(1, (2, len(names)))
        exceeding += psi_of(of_others @ (total - week), of_week @ week) >= psi
    is_now = rows["week"] == NOW
    units = min(independent_rows(rows["entity"][side]) for side in (is_now, ~is_now))
    return Comparison(psi, (exceeding + 1) / (RESAMPLES + 1), int(is_now.sum()), units)


def bin_codes(values: pd.Series) -> NDArray[np.intp]:
    """Return the number of each value's decile or category; 0 is null or a rare category."""
    column = read_column(values)
    if is_numeric_dtype(column):
        codes = np.ceil(column.rank(pct=True) * BINS).fillna(0)
        return codes.to_numpy(dtype=np.intp)
    return column.value_counts().index[:MAX_CATEGORIES].get_indexer(column) + 1


def psi_of(reference: NDArray[Any], current: NDArray[Any]) -> float:
    """Return the PSI of two counts, with half an observation in each bin."""
    expected, actual = ((side + 0.5) / (side + 0.5).sum() for side in (reference, current))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def mean_by_entity(values: pd.Series, entities: pd.Series) -> tuple[float, float]:
    """Return the mean and its variance; the rows of an entity are correlated."""
    groups = values.groupby(entities.to_numpy())
    sums, rows = groups.sum(), groups.count()
    mean = sums.sum() / rows.sum() if len(rows) else np.nan
    return float(mean), float((((sums - mean * rows) / rows.sum()) ** 2).sum())


def check_ratio(name: str, difference: float, variance: float, most: float) -> Check:
    """Fail if a ratio lies outside its limits, and its interval excludes 1; both as logarithms."""
    margin = Z * np.sqrt(variance)
    passed = None if np.isnan(difference) else abs(difference) <= max(np.log(most), margin)
    ratio, low, high = np.exp([difference, difference - margin, difference + margin])
    message = f"ratio {ratio:.2f} ({low:.2f} to {high:.2f}); {1 / most:.2g} to {most:g} are usual"
    return Check("drift", name, None if passed is None else bool(passed), message)


def check_growth(name: str, rows: pd.DataFrame) -> Check:
    """Compare the geometric mean of the last four weeks with that of the reference."""
    rows = rows[rows["value"] > 0]
    sides = [rows[rows["week"] >= MONTH], rows[rows["week"] < MONTH]]
    (before, variance), (after, of_now) = (
        mean_by_entity(np.log(side["value"]), side["entity"]) for side in sides
    )
    return check_ratio(name, after - before, variance + of_now, MOST_GROWTH)


def check_share(name: str, rows: pd.DataFrame) -> Check:
    """Compare the share of values above zero with that of the reference."""
    rows = rows[rows["value"].notna()]
    sides = [rows[rows["week"] >= MONTH], rows[rows["week"] == NOW]]
    shares = [mean_by_entity((side["value"] > 0).astype(float), side["entity"]) for side in sides]
    before, after = (share for share, _ in shares)
    variance = sum(variance / share**2 for share, variance in shares if share)
    difference = np.log(after / before) if before and after else np.nan
    return check_ratio(name, difference, variance, MOST_SHARE)


def check_feature(name: str, rows: pd.DataFrame) -> Iterator[Check]:
    """Yield the checks of PSI and of the share above zero of one feature and baseline.

    PSI of a column that is mostly zero is that of its other values. Identifiers have neither:
    quality.py checks the share of unseen ones.
    """
    column = read_column(rows["value"])
    if not is_numeric_dtype(column):
        if column.nunique() <= MAX_CATEGORIES:
            yield psi_check(name, rows)
        return
    rows = rows.assign(value=column.to_numpy())
    is_zero = rows["value"] == 0
    yield psi_check(name, rows[~is_zero] if is_zero.mean() > 0.5 else rows)
    yield check_share(f"{name}: share above zero", rows)


def psi_check(name: str, rows: pd.DataFrame) -> Check:
    """Return the check of a comparison of weeks."""
    found = compare_weeks(rows)
    severity = "critical" if found.psi > PSI_CRITICAL else "warning"
    return Check("drift", name, found.passed, str(found), severity)
