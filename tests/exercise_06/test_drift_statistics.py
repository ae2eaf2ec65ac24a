"""The statistics against scipy's, against arithmetic by hand, and against chance."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from exercise_06_monitoring.production.__main__ import calculate_psi, detect_drift_ks_test
from exercise_06_monitoring.production.drift import statistics
from tests.exercise_06.properties import steady

FEW_VALUES = st.sampled_from([0.0, 1.0, 1.5, 2.0])
VALUES = st.lists(st.one_of(FEW_VALUES, st.floats(-1e6, 1e6)), min_size=2, max_size=60)
COUNTS = st.lists(st.integers(0, 1_000), min_size=4, max_size=4).filter(any)


def random(size: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


@steady
@given(VALUES, VALUES)
def test_ks_and_wasserstein_are_scipys(reference: list[float], current: list[float]) -> None:
    expected = stats.ks_2samp(reference, current, method="asymp")
    _, statistic, p_value = detect_drift_ks_test(pd.Series(reference), pd.Series(current))
    assert statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert p_value == pytest.approx(expected.pvalue, abs=1e-9)
    moved = statistics.wasserstein(np.sort(reference), np.sort(current))
    assert moved == pytest.approx(stats.wasserstein_distance(reference, current), rel=1e-9)


@pytest.mark.parametrize("shift", [0, 0.001, 0.3])
@pytest.mark.parametrize("decimals", [0, 2, 12])
def test_the_statistic_is_exact_where_there_are_more_values_than_grid_points(
    shift: float, decimals: int
) -> None:
    reference, current = random(60_000).round(decimals), (random(40_000, 8) + shift).round(decimals)
    expected = stats.ks_2samp(reference, current, method="asymp").statistic
    assert statistics.ks_statistic(np.sort(reference), np.sort(current)) == expected


def test_many_rows_alone_are_no_drift() -> None:
    reference, current = pd.Series(random(500_000)), pd.Series(random(500_000, 8) + 0.01)
    has_drift, statistic, p_value = detect_drift_ks_test(reference, current)
    assert p_value < 0.001
    assert statistic < 0.01
    assert not has_drift


@steady
@given(COUNTS, COUNTS)
def test_the_jensen_shannon_distance_is_the_mean_divergence_from_the_middle(
    reference: list[int], current: list[int]
) -> None:
    r, c = (np.array(side) / sum(side) for side in (reference, current))
    middle = (r + c) / 2
    divergence = (stats.entropy(r, middle, base=2) + stats.entropy(c, middle, base=2)) / 2
    distance = statistics.jensen_shannon(np.array([reference]), np.array([current]))[0]
    assert distance**2 == pytest.approx(divergence, abs=1e-9)
    assert 0 <= distance <= 1 + 1e-12


@steady
@given(st.lists(st.integers(20, 1_000), min_size=4, max_size=4))
def test_the_chi_square_of_frequent_categories_is_scipys(counts: list[int]) -> None:
    table = np.array([counts, [250] * 4])
    expected = stats.chi2_contingency(table).pvalue
    assert statistics.chi_square_p_value(*table) == pytest.approx(expected)


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    p_values = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    expected = [0.04, np.nan, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5]
    assert statistics.false_discovery(p_values) == pytest.approx(expected, nan_ok=True)


def test_psi_by_hand() -> None:
    """Four bins of 100 rows; a bin counts half a row more than it has."""
    reference = pd.Series(np.repeat([1, 2, 3, 4], 25))
    current = pd.Series(np.repeat([1, 2, 3, 4], [50, 25, 25, 0]))
    r, c = np.array([25.5] * 4) / 102, np.array([50.5, 25.5, 25.5, 0.5]) / 102
    assert calculate_psi(reference, current) == pytest.approx(((c - r) * np.log(c / r)).sum())


def test_an_emptied_bin_does_not_weigh_without_limit() -> None:
    reference = pd.Series(np.arange(1_000) / 1_000)
    assert calculate_psi(reference, reference[reference > 0.1]) == pytest.approx(0.53, abs=0.02)


@pytest.mark.parametrize("bins", [5, 10, 20])
def test_psi_without_drift_is_under_its_limit_as_often_as_promised(bins: int) -> None:
    first, second = np.random.default_rng(7).multinomial(400, [1 / bins] * bins, size=(2, 4_000))
    psi, limit = statistics.psi(first, second), statistics.psi_by_chance(first, second, 0.05)
    assert (psi > limit).mean() == pytest.approx(0.05, abs=0.015)
