"""Grade drift by limits that come from the data's own quiet weeks.

All functions take rows with entity, week and value. Week 0 is the current one; the reference has
the weeks from 4 on. The PSI of a quiet week depends on the entities and on the week, so whole weeks
and whole entities are resampled. PSI hardly detects slow growth, nor a change of the few values
above zero of a rare count: ratios with an interval by entity do.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.bins import MAX_CATEGORIES, independent_rows, read_column
from exercise_06_monitoring.report import PSI_CRITICAL, PSI_SIGNIFICANT
from lab.learn import settings

MONTH = 4  # weeks whose growth is compared with the reference
BINS, RESAMPLES, MAX_P_VALUE = 10, 199, 0.01
MIN_UNITS = 200  # of fewer, chance alone gives a PSI of 0.25
MIN_UNSEEN = 0.05  # of an identifier's values
MIN_RISES, MAX_FALLS = 30, 0.01  # of a lifetime count; a correction may lower it
SHARE, UNSEEN = "share above zero", "unseen values"  # a feature's other checks
MOST_GROWTH, MOST_SHARE, Z = 1.25, 2.0, 2.58  # intervals of 99 %

Counts = NDArray[np.float64]
QuietPsis = Callable[[str, Counts], list[float]]  # of a check, from its reference's counts


def resample(_name: str, counts: Counts) -> list[float]:
    """Compare quiet weeks with the others, of other entities each time; return the PSIs."""
    random, total, psis = np.random.default_rng(settings.seed), counts.sum(axis=0), []
    for index in random.integers(len(counts), size=RESAMPLES):
        week = counts[index]
        of_others, of_week = random.poisson(1, (2, len(week)))
        psis.append(psi_of(of_others @ (total - week), of_week @ week))
    return psis


def check_feature(
    name: str, rows: pd.DataFrame, quiet_psis: QuietPsis = resample
) -> Iterator[Check]:
    """Yield the checks of PSI and of the share above zero.

    PSI of a column that is mostly zero is that of its other values. Identifiers have neither check,
    but one of the share of unseen values.
    """
    numbers, text = read_column(rows["value"])
    if numbers.count() >= text.count():
        rows = rows.assign(value=numbers.to_numpy())
        is_zero = rows["value"] == 0
        yield check_psi(name, rows[~is_zero] if is_zero.mean() > 0.5 else rows, quiet_psis)
        yield check_share(f"{name}: {SHARE}", rows)
    elif text.nunique() <= MAX_CATEGORIES:
        words = text.reindex(numbers.index).to_numpy()
        yield check_psi(name, rows.assign(value=words), quiet_psis)
    else:
        yield check_unseen(f"{name}: {UNSEEN}", rows.dropna(subset="value"))


def is_lifetime_count(rows: pd.DataFrame) -> bool:
    """Return True if an entity's value rises and hardly ever falls; the rows are in time order."""
    if not is_numeric_dtype(rows["value"]):
        return False
    changes = rows["value"].astype(float).groupby(rows["entity"]).diff()
    rises, falls = (changes > 0).sum(), (changes < 0).sum()
    return bool(rises >= MIN_RISES and falls <= MAX_FALLS * rises)


def weekly_increments(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each row's change since the entity's row of the week before, where there is one."""
    changes = rows.groupby("entity")[["week", "value"]].diff()
    return rows.assign(value=changes["value"])[changes["week"] == -1]


def check_psi(name: str, rows: pd.DataFrame, quiet_psis: QuietPsis = resample) -> Check:
    """Fail if PSI is large, of enough independent rows, and larger than in quiet weeks."""
    weeks, names = pd.factorize(rows["week"], sort=True)
    if len(names) < 3 or names[0] != 0:
        return Check("drift", name, None, "no current week, or less than two before")
    counts = count_values(weeks, *(rows[column] for column in ("entity", "value")))
    psi = psi_of(counts[1:].sum(axis=(0, 1)), counts[0].sum(axis=0))
    sides = (rows["entity"][weeks == 0], rows["entity"][weeks > 0])
    units = min(independent_rows(entities) for entities in sides)
    message = f"PSI {psi:.2f}; {len(sides[0]):,} rows are worth {units:,.0f} units"
    if psi <= PSI_SIGNIFICANT:
        return Check("drift", name, True, message)
    if units < MIN_UNITS:
        return Check("drift", name, True, f"{message}; no alert below {MIN_UNITS}: see its plot")
    exceeding = sum(quiet >= psi for quiet in quiet_psis(name, counts[1:]))
    p_value = (exceeding + 1) / (RESAMPLES + 1)
    severity = "critical" if psi > PSI_CRITICAL else "warning"
    message = f"{message}; p {p_value:.3f} among quiet weeks"
    return Check("drift", name, p_value > MAX_P_VALUE, message, severity)


def count_values(weeks: NDArray[np.intp], entities: pd.Series, values: pd.Series) -> Counts:
    """Count by week, entity and decile or frequent category; bin 0 is null or a rare category."""
    if is_numeric_dtype(values):
        bins = np.ceil(values.rank(pct=True) * BINS).fillna(0).to_numpy(dtype=np.intp)
    else:
        bins = values.value_counts().index[:MAX_CATEGORIES].get_indexer(values) + 1
    places, names = pd.factorize(entities)
    counts = np.zeros((weeks.max() + 1, len(names), bins.max() + 1))
    np.add.at(counts, (weeks, places, bins), 1)
    return counts


def psi_of(reference: NDArray[Any], current: NDArray[Any]) -> float:
    """Return the PSI of two counts, with half an observation in each bin."""
    expected, actual = ((side + 0.5) / (side + 0.5).sum() for side in (reference, current))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def check_growth(name: str, rows: pd.DataFrame) -> Check:
    """Compare the geometric mean of the last four weeks with that of the reference."""
    logs = rows[rows["value"] > 0].assign(value=lambda known: np.log(known["value"]))
    is_now = logs["week"] < MONTH
    (before, of_before), (after, of_after) = (mean_by_entity(logs[s]) for s in (~is_now, is_now))
    return check_ratio(name, after - before, of_before + of_after, MOST_GROWTH)


def check_share(name: str, rows: pd.DataFrame) -> Check:
    """Compare the current week's share of values above zero with that of the reference."""
    shares = rows.dropna(subset="value").assign(value=lambda known: known["value"] > 0)
    is_now = shares["week"] == 0
    sides = shares[~is_now], shares[is_now]
    if not all(map(len, sides)):
        return Check("drift", name, None, "one side has no value")
    (before, of_before), (after, of_after) = map(share_by_entity, sides)
    variance = of_before / before**2 + of_after / after**2
    return check_ratio(name, np.log(after / before), variance, MOST_SHARE)


def share_by_entity(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the share and its variance; half a row, with a wide interval, where there is none.

    A count that became zero for everybody has changed: it is not unknown.
    """
    share, variance = mean_by_entity(rows)
    if share > 0:
        return share, variance
    half = 0.5 / independent_rows(rows["entity"])
    return half, 2 * half**2


def mean_by_entity(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the mean and its variance; the rows of an entity are correlated."""
    groups = rows.groupby("entity")["value"]
    sums, sizes = groups.sum(), groups.count()
    mean = sums.sum() / sizes.sum() if len(rows) else np.nan
    return float(mean), float((((sums - mean * sizes) / sizes.sum()) ** 2).sum())


def check_unseen(name: str, rows: pd.DataFrame) -> Check:
    """Fail if more values of the current week are in no other week than in twice any quiet one."""
    is_unseen = rows.groupby("value")["week"].transform("nunique") == 1
    shares = is_unseen.groupby(rows["week"]).mean()
    if len(shares) < 3 or 0 not in shares:
        return Check("drift", name, None, "no current week, or less than two before")
    most = max(MIN_UNSEEN, MOST_SHARE * shares.drop(0).max())
    message = f"{shares[0]:.1%} of the values are in no other week; the limit is {most:.1%}"
    return Check("drift", name, bool(shares[0] <= most), message)


def check_ratio(name: str, log_ratio: float, variance: float, most: float) -> Check:
    """Fail if a ratio lies outside its limits, and its interval by entity excludes 1."""
    margin = Z * np.sqrt(variance)
    passed = None if np.isnan(log_ratio) else bool(abs(log_ratio) <= max(np.log(most), margin))
    ratio, low, high = np.exp([log_ratio, log_ratio - margin, log_ratio + margin])
    message = f"ratio {ratio:.2f} ({low:.2f} to {high:.2f}); limits {1 / most:.2g} and {most:g}"
    return Check("drift", name, passed, message)
