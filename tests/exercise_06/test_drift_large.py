"""Counted in DuckDB, drift is what it is in memory."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from exercise_06_monitoring.production.drift import FeatureDrift, compare
from exercise_06_monitoring.production.drift.large import SAMPLE_ROWS, compare_tables

SCHEMA = pa.schema(
    {
        **dict.fromkeys(["amount", "rare count", "holes", "infinite"], pa.float64()),
        **dict.fromkeys(["constant", "nothing"], pa.float32()),
        "city": pa.string(),
        "flag": pa.bool_(),
    }
)


def table(rows: int, shift: float, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    amount = random.normal(100, 20, rows)
    return pd.DataFrame(
        {
            "amount": amount + 20 * shift,
            "rare count": random.poisson(0.2 + shift, rows),
            "holes": np.where(random.random(rows) < 0.1 + shift, np.nan, amount),
            "infinite": np.where(random.random(rows) < 0.1, np.inf, amount),
            "constant": np.ones(rows) + shift,
            "nothing": np.full(rows, np.nan),
            "city": random.choice(["A", "B", "C" if shift else "A"], rows),
            "flag": random.random(rows) < 0.3 + shift,
        }
    )


def both(reference: pd.DataFrame, current: pd.DataFrame) -> list[tuple[FeatureDrift, FeatureDrift]]:
    with duckdb.connect() as connection:
        connection.register("reference", pa.Table.from_pandas(reference, SCHEMA))
        connection.register("current", pa.Table.from_pandas(current, SCHEMA))
        counted = compare_tables(connection, "reference", "current")
    return list(zip(compare(reference, current), counted, strict=True))


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_sample_holds_all_rows_of_a_small_table(shift: float) -> None:
    for exact, counted in both(table(5_000, 0, seed=7), table(4_000, shift, seed=8)):
        assert counted.psi == pytest.approx(exact.psi, nan_ok=True), exact.feature
        assert counted.current_histogram.shares == exact.current_histogram.shares
        edges = exact.current_histogram.edges
        assert counted.current_histogram.edges == pytest.approx(edges, nan_ok=True)
        assert counted.ks_statistic == pytest.approx(exact.ks_statistic, abs=2e-3, nan_ok=True)
        if exact.feature != "infinite":  # counted as the greatest here, left out there
            assert counted.wasserstein == pytest.approx(exact.wasserstein, rel=0.2, nan_ok=True)
        assert (counted.has_drift, counted.severity) == (exact.has_drift, exact.severity)


def test_the_bins_of_a_sample_tell_the_same_of_a_larger_table() -> None:
    rows = 4 * SAMPLE_ROWS
    for exact, counted in both(table(rows, 0, seed=7), table(rows, 0.1, seed=8)):
        assert counted.psi == pytest.approx(exact.psi, rel=0.05, abs=1e-3, nan_ok=True)
        assert counted.ks_statistic == pytest.approx(exact.ks_statistic, abs=3e-3, nan_ok=True)
        assert counted.has_drift == exact.has_drift


@pytest.mark.parametrize(("before", "now"), [(0, 10), (10, 0), (1, 1)])
def test_few_rows_or_none_are_no_crash(before: int, now: int) -> None:
    for exact, counted in both(table(before, 0, seed=7), table(now, 0, seed=8)):
        assert counted.psi == pytest.approx(exact.psi, nan_ok=True)
        assert counted.reasons == exact.reasons
