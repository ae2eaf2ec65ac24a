"""KS, PSI and the measured statistics of one feature."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from exercise_06_monitoring.feature_monitoring import (
    calculate_psi,
    detect_drift_ks_test,
    measure_drift,
)


def numbers(size: int = 2_000, seed: int = 7) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).normal(100, 20, size))


def test_many_rows_alone_are_no_drift() -> None:
    has_drift, statistic, p_value = detect_drift_ks_test(
        numbers(500_000), numbers(500_000, 8) + 0.2
    )
    assert p_value < 0.001
    assert statistic < 0.01
    assert not has_drift


@pytest.mark.parametrize("moved_to", [-1, 1, math.nan, math.inf])
def test_a_constant_that_moves_to_either_side_is_seen(moved_to: float) -> None:
    constant = pd.Series(np.zeros(500))
    assert calculate_psi(constant, constant) == 0
    assert calculate_psi(constant, constant + moved_to) > 0.25


def test_equal_rates_of_two_precisions_do_not_drift() -> None:
    rates = pd.Series(np.random.default_rng(7).integers(0, 10, 5_000) / 10)
    assert calculate_psi(rates, rates.astype("float32")) == 0


def test_zeros_have_a_bin_of_their_own() -> None:
    """Nine of ten rare counts are zero: their quantiles are one and the same."""
    rare, frequent = (pd.Series(np.arange(1_000) % n == 0, dtype="int64") for n in (10, 2))
    assert calculate_psi(rare, frequent) > 0.25


def test_the_shares_of_the_plot_rise_with_the_value_and_nulls_are_the_last() -> None:
    sides = pd.Series([3.0, 1, 2, 2, np.nan]), pd.Series([np.nan, np.nan, 2, 3])
    assert measure_drift("a", *sides)["shares"] == [[0.2, 0.4, 0.2, 0.2], [0, 0.25, 0.25, 0.5]]


def test_the_known_numbers_of_other_libraries() -> None:
    """Their unit tests' inputs; docs/benchmarks.md has a table of where the definitions differ.

    Evidently's chi-square test takes the reference's shares as exact, and strappy's PSI adds
    nothing to a bin: with many rows ours does neither.
    """
    before, after = [16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8]
    values = pd.Series(range(1, 7))
    current = values.repeat(after)
    exact = measure_drift("evidently", values.repeat([10_000 * n for n in before]), current)
    assert exact["p_value"] == pytest.approx(0.67309, abs=1e-4)
    two_samples = measure_drift("evidently", values.repeat(before), current)["p_value"]
    assert two_samples == pytest.approx(0.899, abs=1e-3), "of a reference that has chance as well"
    old, new = (pd.Series([*"a" * rows, *"b" * (rows - 1)] * 1_000) for rows in (6, 5))
    assert calculate_psi(old, new) == pytest.approx(0.00041, abs=5e-6)
    five = np.tile(np.arange(5), 20)  # alibi-detect: no drift, and drift
    assert [measure_drift("alibi", five, five + n)["p_value"] < 0.05 for n in (0, 1)] == [
        False,
        True,
    ]


# ---- Types of columns ------------------------------------------------------------------------

Column = Callable[[list[int | None]], Any]
SAME: dict[str, Column] = {
    "float64": lambda values: pd.Series(values, dtype="float64"),
    "float32": lambda values: pd.Series(values, dtype="float32"),
    "nullable": lambda values: pd.Series(values, dtype="Int64"),
    "objects": lambda values: pd.Series(values, dtype=object),
    "pd.NA": lambda values: pd.Series([pd.NA if v is None else v for v in values], dtype=object),
    "Decimal": lambda values: pd.Series([None if v is None else Decimal(v) for v in values]),
    "text": lambda values: pd.Series([None if v is None else f"{v}.0" for v in values]),
    "pyarrow": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.int64())),
    "pyarrow decimal": lambda values: pd.Series(
        [None if v is None else Decimal(v) for v in values],
        dtype=pd.ArrowDtype(pa.decimal128(9, 2)),
    ),
    "category": lambda values: pd.Series(values, dtype="float64").astype("category"),
    "timedelta": lambda values: pd.to_timedelta(pd.Series(values, dtype="float64"), "s"),
    "durations": lambda values: [None if v is None else timedelta(seconds=v) for v in values],
    "times": lambda values: pd.to_datetime(pd.Series(values, dtype="float64"), unit="s"),
    "categories of times": lambda values: SAME["times"](values).astype("category"),
    "pyarrow durations": lambda values: pd.Series(
        [None if v is None else timedelta(seconds=v) for v in values],
        dtype=pd.ArrowDtype(pa.duration("us")),
    ),
    "numpy": lambda values: np.array(values, dtype="float64"),
    "list": list,
    "polars": lambda values: pl.Series(values, dtype=pl.Int32),
    "rows of another index": lambda values: pd.Series(values, [7] * len(values), "float64"),
}
VALUES = st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=40)


@pytest.mark.parametrize("kind", SAME)
@settings(deadline=None, derandomize=True, max_examples=20)
@given(VALUES, VALUES, st.randoms(use_true_random=False))
def test_the_result_is_of_the_values_not_of_type_order_or_nulls(
    kind: str, before: list[int | None], after: list[int | None], random: Random
) -> None:
    plain = SAME["float64"]
    psi, test = (f(plain(before), plain(after)) for f in (calculate_psi, detect_drift_ks_test))
    random.shuffle(before)
    random.shuffle(after)
    for other in (plain, SAME[kind]):
        reference, current = SAME[kind](before), other(after)
        assert calculate_psi(reference, current) == pytest.approx(psi, nan_ok=True)
        np.testing.assert_allclose(detect_drift_ks_test(reference, current), test)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(VALUES, VALUES, st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 1]))
def test_a_strictly_increasing_transformation_changes_nothing(
    before: list[int | None], after: list[int | None], increase: Any
) -> None:
    plain = [pd.Series(values, dtype="float64") for values in (before, after)]
    increased = [increase(values) for values in plain]
    np.testing.assert_equal(calculate_psi(*increased), calculate_psi(*plain))
    np.testing.assert_equal(detect_drift_ks_test(*increased), detect_drift_ks_test(*plain))
    np.testing.assert_equal(measure_drift("a", *increased), measure_drift("a", *plain))


ROWS = np.arange(500)
MILLISECONDS = pd.date_range("2026-01-01", periods=500, freq="ms")
DRIFTED: dict[str, tuple[Any, Any]] = {
    "ids above 2**53": (2**53 + ROWS, 2**53 + ROWS + 5_000),
    "epoch seconds": (1.7e9 + ROWS / 500, 1.7e9 + 5 + ROWS / 500),
    "milliseconds": (MILLISECONDS, MILLISECONDS + timedelta(seconds=1)),
    "above float32": ([1e39] * 500, [2e39] * 500),
    "below float32": (ROWS * 1e-50, (ROWS + 400) * 1e-50),
    "infinities": ([-math.inf] * 500, [math.inf] * 500),
    "dates": ([date(2026, 1, 1 + n % 9) for n in ROWS], [date(2026, 2, 1 + n % 9) for n in ROWS]),
    "numbers with a text": ([*ROWS, "N/A"], [*(ROWS + 400), "N/A"]),
    "integers above floats": ([10**309, None] * 250, [-(10**309), None] * 250),
    "integers above floats with a text": ([10**309, "A"] * 250, [5, "A"] * 250),
    "fractions": ([Fraction(1, 3)] * 500, [Fraction(2, 3)] * 500),
    "sets": (set(ROWS), set(ROWS + 5_000)),
    "periods": tuple(pd.period_range(year, periods=500, freq="D") for year in ("2026", "2030")),
    "times of a zone": ([time(1, tzinfo=UTC)] * 500, [time(2, tzinfo=UTC)] * 500),
    "times of a day": ([time(n % 12) for n in ROWS], [time(12 + n % 12) for n in ROWS]),
    "integers above 64 bits": ([10**50, "A"] * 250, [5, "A"] * 250),
    "durations of 500 years": ([timedelta(days=182_500)] * 500, [timedelta(days=1)] * 500),
}
UNCHANGED: dict[str, tuple[Any, Any]] = {
    "one text": (ROWS, [*ROWS, "N/A"]),
    "one text of text": ([f"{n}.0" for n in ROWS], [*ROWS, "?"]),
    "codes": ([1, "A"] * 250, [1.0, "A", True, "A"] * 125),
    "no end": ([datetime(9999, 12, 31), None] * 250, [date(9999, 12, 31), None] * 250),
    "complex numbers": (ROWS % 5 + 1j, list(ROWS % 5 + 1j)),
    "lists": ([[1], [2, 3], None] * 50, [[1], [2, 3], None] * 50),
    "booleans": (ROWS % 3 == 0, [False, False, True] * 50),
    "nullable booleans": (ROWS % 3 // 2, pd.Series([False, False, True] * 50, dtype="boolean")),
    "structs": (pl.Series([{"a": 1}] * 500), pl.Series([{"a": 1}] * 500)),
}


@pytest.mark.parametrize("case", DRIFTED)
def test_odd_values_that_drifted(case: str) -> None:
    assert calculate_psi(*DRIFTED[case]) > 0.25
    assert detect_drift_ks_test(*DRIFTED[case])[0]


@pytest.mark.parametrize("case", UNCHANGED)
def test_odd_values_that_did_not_drift(case: str) -> None:
    assert calculate_psi(*UNCHANGED[case]) < 0.01
    assert not detect_drift_ks_test(*UNCHANGED[case])[0]


@pytest.mark.parametrize("windows", [([], [1.0]), ([1.0], []), ([], [])])
def test_an_empty_side_measures_nothing(windows: tuple[list[float], list[float]]) -> None:
    assert math.isnan(calculate_psi(*windows))
    assert detect_drift_ks_test(*windows)[0] is False
    assert math.isnan(measure_drift("a", *map(pd.Series, windows))["p_value"])


@pytest.mark.parametrize("value", [None, 5, "text", pl.LazyFrame({"a": [1]})])
def test_what_is_no_column_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="is no column; pass a series or a list"):
        calculate_psi(value, value)


@pytest.mark.parametrize("num_bins", [-1, 0, 1])
def test_too_few_bins_are_an_error(num_bins: int) -> None:
    with pytest.raises(ValueError, match="use at least 2"):
        calculate_psi(numbers(), numbers() + 50, num_bins)


def test_two_columns_of_one_name_are_one_clear_sentence() -> None:
    table = pd.DataFrame([[1, 2], [3, 4]], columns=["twice", "twice"])
    for function in (calculate_psi, detect_drift_ks_test):
        with pytest.raises(ValueError, match="Data must be 1-dimensional"):
            function(table["twice"], table["twice"])


@pytest.mark.parametrize(("rows", "others"), [(1, 1), (2, 2), (1, 10), (8, 8)])
def test_few_rows_have_the_exact_p_value(rows: int, others: int) -> None:
    """The asymptotic one of one row against another is 0."""
    reference, current = np.arange(rows) * 1.0, np.arange(others) + 1_000.0
    exact = stats.ks_2samp(reference, current, method="exact").pvalue
    assert detect_drift_ks_test(reference, current)[2] == pytest.approx(exact, rel=1e-9)
