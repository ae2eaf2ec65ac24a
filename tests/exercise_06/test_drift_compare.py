"""Two windows of any columns: what is drift, what is none, and that every answer is defined."""

import dataclasses
import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exercise_06_monitoring.production.__main__ import calculate_psi, detect_drift_ks_test
from exercise_06_monitoring.production.drift import FeatureDrift, compare
from tests.exercise_06.properties import steady

NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([0.0, math.inf, -math.inf, 1e308, -1e308, 5e-324]),
)
MOMENTS = st.datetimes(min_value=pd.Timestamp(1970, 1, 1), max_value=pd.Timestamp(2100, 1, 1))
COLUMNS = st.sampled_from(
    [
        (NUMBERS, "float64"),
        (st.floats(width=32), "float32"),
        (st.integers(-(2**62), 2**62), "int64"),
        (st.one_of(st.none(), st.integers(-9, 9)), "Int64"),
        (st.booleans(), "bool"),
        (st.one_of(st.none(), st.booleans()), "object"),
        (st.one_of(st.none(), st.text(max_size=2)), "object"),
        (st.one_of(st.none(), st.text(max_size=2), st.integers(0, 3)), "object"),
        (st.one_of(st.none(), MOMENTS), "datetime64[us]"),
        (st.none(), "object"),
        (st.just(3.0), "float64"),
    ]
)


@st.composite
def two_windows(draw: st.DrawFn) -> tuple[pd.Series, pd.Series]:
    """A column of one type in two windows, each of no row or more."""
    values, dtype = draw(COLUMNS)
    windows = [draw(st.lists(values, max_size=30)) for _ in range(2)]
    reference, current = (pd.Series(window, dtype=dtype) for window in windows)
    return reference, current


@pytest.mark.slow
@settings(steady, max_examples=300)
@given(two_windows())
def test_every_column_has_a_defined_result_and_no_warning(
    windows: tuple[pd.Series, pd.Series],
) -> None:
    reference, current = windows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (drift,) = compare(pd.DataFrame({"x": reference}), pd.DataFrame({"x": current}))
        psi = calculate_psi(reference, current)
        has_drift, _, p_value = detect_drift_ks_test(reference, current)
    is_comparable = len(reference) > 0 and len(current) > 0
    assert is_comparable == (not math.isnan(psi))
    assert psi == pytest.approx(drift.psi, nan_ok=True)
    assert psi >= 0 or not is_comparable
    assert isinstance(has_drift, bool)
    assert math.isnan(p_value) or 0 <= p_value <= 1
    assert drift.has_drift == bool(drift.reasons) == (drift.severity != "low")
    assert_plain(drift)


def assert_plain(drift: FeatureDrift) -> None:
    """Built-in types only; shares of each window with a known value add up to one."""
    json.dumps(dataclasses.asdict(drift))
    for histogram in (drift.reference_histogram, drift.current_histogram):
        assert sum(histogram.shares) == pytest.approx(1) or not any(histogram.shares)
        if not histogram.labels:
            assert len(histogram.edges) == len(histogram.shares) + 1


@steady
@given(two_windows())
def test_a_window_does_not_drift_from_itself(windows: tuple[pd.Series, pd.Series]) -> None:
    reference, _ = windows
    frame = pd.DataFrame({"x": reference})
    (drift,) = compare(frame, frame)
    assert not drift.has_drift
    assert drift.psi == pytest.approx(0, abs=1e-9) or frame.empty or drift.kind == "category"


def numbers(size: int = 2_000, seed: int = 7) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).normal(100, 20, size))


def one(reference: pd.Series, current: pd.Series) -> FeatureDrift:
    (drift,) = compare(pd.DataFrame({"x": reference}), pd.DataFrame({"x": current}))
    return drift


@pytest.mark.parametrize(
    "current",
    [
        numbers(seed=8) + 15,
        numbers(seed=8) * 1.8 - 80,
        numbers(seed=8).mask(np.arange(2_000) < 600, 1_000),
        numbers(seed=8).mask(np.arange(2_000) < 600, -1_000),
        numbers(seed=8) * 100,
        numbers(seed=8).mask(np.arange(2_000) < 300),
    ],
    ids=["shift", "spread", "above the range", "below it", "cents", "nulls"],
)
def test_drift_of_a_number(current: pd.Series) -> None:
    drift = one(numbers(), current)
    assert drift.has_drift
    assert drift.psi > 0.25
    assert drift.severity == "high"


def test_no_drift_of_a_number() -> None:
    drift = one(numbers(), numbers(seed=8))
    assert (drift.has_drift, drift.severity, drift.reasons) == (False, "low", ())
    assert drift.psi < drift.psi_threshold < 0.05


@pytest.mark.parametrize("moved_to", [-1, 1, math.nan, math.inf])
def test_a_constant_that_moves_to_either_side_is_seen(moved_to: float) -> None:
    constant = pd.Series(np.zeros(500))
    assert not one(constant, constant).has_drift
    assert one(constant, constant + moved_to).has_drift


def test_zeros_have_a_bin_of_their_own() -> None:
    """A rare count: nine in ten are zero, and quantile bins would be one and the same."""
    rare = pd.Series(np.arange(1_000) % 10 == 0, dtype="int64")
    drift = one(rare, pd.Series(np.arange(1_000) % 2 == 0, dtype="int64"))
    assert [share for share in drift.reference_histogram.shares if share] == [0.9, 0.1]
    assert [share for share in drift.current_histogram.shares if share] == [0.5, 0.5]
    assert drift.has_drift


def test_two_hundred_rows_without_drift_are_not_judged_by_the_usual_border() -> None:
    """With 200 rows a side PSI is often above 0.1 without any drift."""
    pairs = [(numbers(200, seed), numbers(200, seed + 1_000)) for seed in range(200)]
    found = [one(*pair) for pair in pairs]
    assert sum(drift.psi > 0.1 for drift in found) > 20
    assert sum(drift.has_drift for drift in found) < 10


def text(shares: dict[str, float], seed: int, size: int = 2_000) -> pd.Series:
    draws = np.random.default_rng(seed).choice(list(shares), size, p=list(shares.values()))
    return pd.Series(draws)


def test_a_new_category_is_drift_and_is_named() -> None:
    before = text({"visa": 0.7, "cash": 0.3}, seed=7)
    assert not one(before, text({"visa": 0.7, "cash": 0.3}, seed=8)).has_drift
    drift = one(before, text({"visa": 0.68, "cash": 0.29, "crypto": 0.03}, seed=8))
    assert "of the values are crypto, which was not there before" in drift.reasons[-1]
    assert drift.kind == "category"
    assert drift.chi_square_p_value < 0.001
    assert math.isnan(drift.ks_statistic)


def test_ids_that_are_mostly_new_every_time_are_no_drift() -> None:
    windows = [np.random.default_rng(seed).zipf(1.5, 2_000) for seed in (7, 8)]
    assert not one(*(pd.Series(ids % 10_000).astype(str) for ids in windows)).has_drift


def test_times_are_compared_as_numbers() -> None:
    before = pd.Series(pd.date_range("2026-01-01", periods=500, freq="h", tz="UTC"))
    drift = one(before, before + pd.Timedelta(days=5))
    assert (drift.kind, drift.has_drift) == ("time", True)
    assert drift.wasserstein == pytest.approx(5 * 86_400)


def test_features_are_judged_together() -> None:
    """Of a hundred features without drift one has a p-value of about 0.01: q tells it is none."""
    before = pd.DataFrame({f"f{seed}": numbers(300, seed) for seed in range(100)})
    now = pd.DataFrame({f"f{seed}": numbers(300, seed + 1_000) for seed in range(100)})
    drifts = compare(before, now, view="payments")
    assert min(drift.ks_p_value for drift in drifts) < 0.05 < min(d.q_value for d in drifts)
    assert not any(drift.has_drift for drift in drifts)
    assert {drift.view for drift in drifts} == {"payments"}


def test_an_empty_window_and_a_missing_column_are_drift() -> None:
    assert one(numbers(), numbers(0)).reasons == ("there are no current rows",)
    assert not one(numbers(0), numbers()).has_drift
    (drift,) = compare(pd.DataFrame({"x": numbers()}), pd.DataFrame({"y": numbers()}))
    assert (drift.null_rate_current, drift.has_drift) == (1, True)


def test_one_bin_is_none() -> None:
    with pytest.raises(ValueError, match="at least 2 bins"):
        calculate_psi(numbers(), numbers(), num_bins=1)
