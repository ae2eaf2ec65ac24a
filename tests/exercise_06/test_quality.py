"""Data quality: each planted fault fails its own check, and no other."""

import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.feature_monitoring import check_data_quality, check_table
from exercise_06_monitoring.quality import expectations
from exercise_06_monitoring.windows import features_of, read_rows, read_views
from lab.learn import UserError
from tests.exercise_06.monitored_shop import TABLE_OF
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

ROWS = 2_000
RANDOM = np.random.default_rng(6)
TABLE = pd.DataFrame(
    {
        "transaction_count_30d": RANDOM.poisson(42, ROWS),
        "avg_transaction_amount": RANDOM.gamma(2, 50, ROWS),
        "chargeback_rate": RANDOM.beta(2, 100, ROWS),
        "constant": np.full(ROWS, 7.0),
        "city": RANDOM.choice(["Lagos", "Lima"], ROWS),
        "is_new": RANDOM.random(ROWS) < 0.1,
        "seen": pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC"),
    }
)
UNKNOWN = [None, np.nan, pd.NA, pd.NaT]


def failed(checks: pd.DataFrame) -> set[tuple[str, str]]:
    wrong = checks[~checks["passed"].astype(bool)]
    return set(zip(wrong["column"], wrong["check"], strict=True))


def test_clean_and_constant_columns_are_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = check_data_quality(TABLE)
    assert failed(checks) == set()
    assert set(checks["column"]) == set(TABLE)


@pytest.mark.parametrize("unknown", UNKNOWN, ids=str)
def test_nulls_of_every_kind_are_counted(unknown: object) -> None:
    city = TABLE["city"].astype(object)
    city.iloc[:150] = unknown
    checks = check_data_quality(TABLE.assign(city=city))
    assert failed(checks) == {("city", "null_rate")}
    (rate,) = checks.query("column == 'city' and check == 'null_rate'")["value"]
    assert rate == 150 / ROWS


@pytest.mark.parametrize("column", ["transaction_count_30d", "avg_transaction_amount"])
@pytest.mark.parametrize("share", [0.11, 0.15, 0.2])
def test_planted_outliers_are_found_with_their_share(column: str, share: float) -> None:
    values, planted = TABLE[column].astype(float), round(share * ROWS)
    values.iloc[:planted] = 50 * values.max()
    checks = check_data_quality(TABLE.assign(**{column: values}))
    assert failed(checks) == {(column, "outlier_rate")}
    (rate,) = checks.query("column == @column and check == 'outlier_rate'")["value"]
    assert rate == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("sigma", [1.5, 2])
def test_a_long_tail_is_no_fault_and_hides_none(sigma: float) -> None:
    tail = RANDOM.lognormal(0, sigma, ROWS)
    assert failed(check_data_quality(pd.DataFrame({"amount": tail}))) == set()
    tail[: ROWS // 5] *= 1e9
    assert ("amount", "outlier_rate") in failed(check_data_quality(pd.DataFrame({"amount": tail})))


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(),
        TABLE.head(0),
        pd.DataFrame({"empty": [None, None]}),
        pd.DataFrame({"one": [1.0]}),
        pd.DataFrame({"whole": pd.array([1, None, 3], "Int64")}),
        pd.DataFrame([[1, 2], [3, 4]], columns=["twice", "twice"]),
        pd.DataFrame({"lists": [[1], [2, 3], None]}),
    ],
    ids=["nothing", "no rows", "all null", "one row", "Int64", "a name twice", "odd types"],
)
def test_odd_tables_have_a_result(table: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = check_data_quality(table)
    assert list(checks)[:4] == ["column", "check", "value", "passed"]
    many_nulls = {name for name in table if len(table) and table[[name]].isna().any().any()}
    assert {column for column, _ in failed(checks)} == many_nulls


def test_a_table_of_polars_or_arrow_has_the_same_result() -> None:
    expected = check_data_quality(TABLE)
    for table in (pl.from_pandas(TABLE), pl.from_pandas(TABLE).to_arrow()):
        pd.testing.assert_frame_equal(check_data_quality(table), expected)


UNUSUAL: dict[str, tuple[list[object], str]] = {
    "Decimal": ([Decimal(n) for n in [*range(1, 81), *[10**6] * 20]], "outlier_rate"),
    "infinity": ([*range(1, 81), *[float("inf")] * 20], "outlier_rate"),
    "above float32": ([*range(1, 81), *[1e39] * 20], "outlier_rate"),
    "a text among numbers": ([*range(1, 81), *[10**6] * 19, "N/A"], "outlier_rate"),
    "many texts": ([*range(1, 81), *["N/A"] * 20], "null_rate"),
    "no end": ([*TABLE["seen"][:80], *[datetime(9999, 12, 31)] * 20], "outlier_rate"),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_values_are_found(case: str) -> None:
    values, check = UNUSUAL[case]
    assert failed(check_data_quality(pd.DataFrame({"amount": values}))) == {("amount", check)}


@pytest.mark.parametrize("rows", [{"a": [1, None]}, [{"a": 1}, {}], pd.Series([1, None], name="a")])
def test_a_table_of_other_containers(rows: Any) -> None:
    assert failed(check_data_quality(rows)) == {("a", "null_rate")}


def test_rare_counts_are_no_outliers() -> None:
    counts = pd.DataFrame({"count": [0] * 80 + [1, 2, 2, 3] * 5})
    (rate,) = check_data_quality(counts).query("check == 'outlier_rate'")["value"]
    assert rate == 0


# ---- Feature views ---------------------------------------------------------------------------

Change = Callable[[pl.DataFrame], pl.DataFrame]
A_FEW = pl.col("merchant_id").hash() % 30 == 0
RECENT = pl.col("created_timestamp") > AS_OF - timedelta(hours=20)


def when_recent(column: str, value: pl.Expr) -> Change:
    return lambda rows: rows.with_columns(
        pl.when(RECENT).then(value).otherwise(pl.col(column)).alias(column)
    )


FAULTS: dict[str, tuple[str, Change, set[str]]] = {
    "a column is missing": (
        "user_stats",
        lambda rows: rows.drop("total_amount_30d"),
        {"total_amount_30d.type", "total_amount_30d.null_rate"},
    ),
    "a type has changed": (
        "user_stats",
        lambda rows: rows.with_columns(pl.col("avg_transaction_amount").cast(pl.String)),
        {"avg_transaction_amount.type"},
    ),
    "a rate above one": (
        "merchant_stats",
        when_recent("refund_rate", pl.col("refund_rate") + A_FEW.cast(pl.Float32) * 1.5),
        {"refund_rate.range"},
    ),
    "a negative count": (
        "product_stats",
        when_recent("view_count_7d", -1 - pl.col("view_count_7d")),
        {"view_count_7d.range"},
    ),
    "nulls": (
        "user_stats",
        when_recent("avg_transaction_amount", pl.lit(None, pl.Float32)),
        {"avg_transaction_amount.null_rate"},
    ),
    "a pipeline that stopped": (
        "product_stats",
        lambda rows: rows.filter(pl.col("created_timestamp") < AS_OF - timedelta(hours=5)),
        {"freshness"},
    ),
    "rows without a key": (
        "merchant_stats",
        lambda rows: rows.with_columns(pl.when(~A_FEW).then(pl.col("merchant_id"))),
        {"key"},
    ),
    "no rows": ("user_stats", lambda rows: rows.head(0), {"freshness"}),
}


def failed_by_table() -> dict[str, set[str]]:
    """Return the failed checks of each view, by its table."""
    found = {}
    for view in read_views():
        checks = check_table(view, read_rows(view, AS_OF - timedelta(days=30), AS_OF), AS_OF)
        failures = {check.feature for check in checks if check.passed is False}
        found[TABLE_OF[view.name]] = {name.removeprefix(f"{view.name}.") for name in failures}
    return found


def test_a_healthy_shop_passes_every_check(shop: Path) -> None:
    assert {table: wrong for table, wrong in failed_by_table().items() if wrong} == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_its_own_check(fault: str, shop: Path) -> None:
    table, change, expected = FAULTS[fault]
    file = shop / f"{table}.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    assert failed_by_table()[table] == expected


@pytest.mark.parametrize("hours", [30, 24 * 40], ids=["a day", "a month"])
def test_a_stopped_pipeline_passes_nothing_that_was_not_measured(hours: int, shop: Path) -> None:
    """A pass would close the alerts that were open when the pipeline stopped."""
    for view in read_views():
        moment = AS_OF + timedelta(hours=hours)
        rows = read_rows(view, moment - timedelta(days=30), moment)
        subjects = {
            check.feature.rsplit(".")[-1]: check.passed for check in check_table(view, rows, moment)
        }
        assert subjects.pop("freshness") is False
        assert subjects.pop("type") is True
        assert set(subjects.values()) == {None}


def test_a_day_of_nulls_is_critical(shop: Path) -> None:
    nulls_since(AS_OF - timedelta(days=2), 1, shop)
    assert (null_check(None).passed, null_check(None).severity) == (False, "critical")


def null_check(last_run: datetime | None) -> Check:
    """Return the check of a user's mean amount."""
    view = next(view for view in read_views() if view.name == "user_transaction_features")
    rows = read_rows(view, AS_OF - timedelta(days=30), AS_OF)
    checks = check_table(view, rows, AS_OF, last_run)
    return next(c for c in checks if c.feature.endswith("avg_transaction_amount.null_rate"))


def nulls_since(moment: datetime, share: float, shop: Path) -> None:
    file = shop / "user_stats.parquet"
    rows = pl.read_parquet(file)
    is_new = pl.col("created_timestamp") > moment
    is_lost = is_new & (pl.int_range(pl.len()) % 100 < 100 * share)
    mean = pl.when(~is_lost).then(pl.col("avg_transaction_amount"))
    rows.with_columns(mean.alias("avg_transaction_amount")).write_parquet(file)


def test_nulls_of_an_hour_are_found_by_the_next_run(shop: Path) -> None:
    """They are few among the rows of the day."""
    last_run = AS_OF - timedelta(hours=1)
    assert null_check(last_run).passed
    nulls_since(last_run, 1, shop)
    assert null_check(None).passed
    found = null_check(last_run)
    assert (found.passed, found.severity) == (False, "critical")
    assert "rows since the last run" in found.message


def test_a_run_after_a_pause_checks_all_rows_since_the_last_one(shop: Path) -> None:
    file = shop / "user_stats.parquet"
    rows, created = pl.read_parquet(file), pl.col("created_timestamp")
    is_lost = (created > AS_OF - timedelta(days=3)) & (created < AS_OF - timedelta(days=2))
    amount = pl.when(~is_lost).then(pl.col("avg_transaction_amount"))
    rows.with_columns(amount.alias("avg_transaction_amount")).write_parquet(file)
    assert null_check(AS_OF - timedelta(days=1)).passed
    assert not null_check(AS_OF - timedelta(days=4)).passed


def test_some_nulls_are_a_warning_and_a_few_by_chance_are_none(shop: Path) -> None:
    last_run = AS_OF - timedelta(hours=20)
    nulls_since(last_run, 0.06, shop)
    assert null_check(AS_OF - timedelta(hours=1)).severity == "warning"
    nulls_since(last_run, 0.5, shop)
    found = null_check(last_run)
    assert (found.passed, found.severity) == (False, "warning")


def test_expectations_name_the_features_that_there_are(shop: Path) -> None:
    for view in read_views():
        assert set(expectations(view).get("features", {})) <= set(features_of(view))
        assert expectations(view)["fresh_within_minutes"]


def test_damaged_expectations_are_one_sentence(
    tmp_path: Path, point_settings: PointSettings
) -> None:
    (tmp_path / "expectations.toml").write_text("users = ")
    point_settings(feature_repo=tmp_path)
    with pytest.raises(UserError, match=r"expectations.toml is no TOML: Invalid value"):
        expectations(SimpleNamespace(name="users"))
