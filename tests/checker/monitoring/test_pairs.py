"""Each pair has one verdict by any sound PSI, and no other measure agrees with all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from checker.monitoring.pairs import Pair, pairs

SEEDS = range(4)
Shares = tuple[Any, Any]


def shares(pair: Pair, edges: Any, added: float = 0.5) -> Shares:
    inner = np.unique(edges[1:-1])
    counts = (
        np.bincount(np.digitize(side, inner), minlength=len(inner) + 1) + added
        for side in (pair.reference, pair.current)
    )
    before, after = (count / count.sum() for count in counts)
    return before, after


def by_quantiles(pair: Pair, bins: int = 10, added: float = 0.5) -> Shares:
    return shares(pair, np.quantile(pair.reference, np.linspace(0, 1, bins + 1)), added)


def by_widths(pair: Pair, bins: int = 10, added: float = 0.5) -> Shares:
    return shares(pair, np.linspace(pair.reference.min(), pair.reference.max(), bins + 1), added)


def psi(before: Any, after: Any) -> float:
    return float(((after - before) * np.log(after / before)).sum())


def smoothed_unevenly(pair: Pair) -> float:
    """Add a half to ten counts of the reference, and take it off their sum."""
    reference, current = by_quantiles(pair)
    rows = len(pair.reference)
    return psi(reference * (rows + 5) / (rows - 5), current)


SOUND: dict[str, Callable[[Pair], float]] = {
    "deciles": lambda pair: psi(*by_quantiles(pair)),
    "ten widths and an epsilon": lambda pair: psi(*by_widths(pair, added=1e-6)),
    "deciles and one more of each": lambda pair: psi(*by_quantiles(pair, added=1)),
    "twenty widths": lambda pair: psi(*by_widths(pair, 20)),
    "seven quantiles": lambda pair: psi(*by_quantiles(pair, 7)),
}
OTHERS: dict[str, Callable[[Pair], float]] = {
    "Kullback-Leibler": lambda pair: stats.entropy(*by_quantiles(pair)[::-1]),
    "Kullback-Leibler, reversed": lambda pair: stats.entropy(*by_quantiles(pair)),
    "Jensen-Shannon": lambda pair: jensenshannon(*by_quantiles(pair)),
    "Wasserstein": lambda pair: stats.wasserstein_distance(pair.reference, pair.current),
    "chi-square": lambda pair: float(np.diff(by_quantiles(pair), axis=0).__pow__(2).sum()),
    "decimal logarithm": lambda pair: psi(*by_quantiles(pair)) / np.log(10),
    "mean of both directions": lambda pair: psi(*by_quantiles(pair)) / 2,
    "a smoothing that does not cancel out": smoothed_unevenly,
    "KS": lambda pair: stats.ks_2samp(pair.reference, pair.current).statistic,
    "one or zero": lambda pair: float(psi(*by_quantiles(pair)) > 0.25),
}


@pytest.mark.parametrize("name", SOUND)
def test_any_sound_psi_is_right(name: str) -> None:
    for seed in SEEDS:
        for pair in pairs(seed):
            value = SOUND[name](pair)
            assert pair.is_right_psi(value), (seed, pair.name, value, pair.psi_band)


@pytest.mark.parametrize("name", OTHERS)
def test_another_measure_is_no_psi(name: str) -> None:
    assert not all(pair.is_right_psi(OTHERS[name](pair)) for pair in pairs(1))


def ks(pair: Pair, has_drift: bool | None = None) -> tuple[bool, float, float]:
    found = stats.ks_2samp(pair.reference, pair.current)
    is_significant = bool(found.pvalue < pair.threshold)
    return is_significant if has_drift is None else has_drift, found.statistic, found.pvalue


def of_another_test(pair: Pair, p_value: float) -> bool:
    """Return the verdict on a test that has another p-value, with the right statistic."""
    return pair.is_right_ks(p_value < pair.threshold, ks(pair)[1], p_value)


def test_the_ks_test_is_right() -> None:
    assert all(pair.is_right_ks(*ks(pair)) for seed in SEEDS for pair in pairs(seed))


WRONG_TESTS: dict[str, Callable[[Pair], bool]] = {
    "means": lambda p: of_another_test(p, stats.ttest_ind(p.reference, p.current).pvalue),
    "variances": lambda p: of_another_test(p, stats.levene(p.reference, p.current).pvalue),
    "another statistic": lambda p: p.is_right_ks(
        ks(p)[0], abs(p.reference.mean() / p.current.mean() - 1), ks(p)[2]
    ),
    "no drift in few rows": lambda p: p.is_right_ks(ks(p)[0] and len(p.current) >= 500, *ks(p)[1:]),
    "inverted for many rows": lambda p: p.is_right_ks(
        ks(p)[0] is (len(p.current) < 3_000), *ks(p)[1:]
    ),
    "a fixed threshold": lambda p: p.is_right_ks(ks(p)[2] < 0.05, *ks(p)[1:]),
}


@pytest.mark.parametrize("name", WRONG_TESTS)
def test_another_test_is_wrong(name: str) -> None:
    assert not all(WRONG_TESTS[name](pair) for pair in pairs(1))


def test_half_of_the_clear_shapes_drift() -> None:
    found = pd.Series([pair.drifted for pair in pairs(1) if pair.psi is None])
    assert found.value_counts().to_dict() == {True: 25, False: 26}
