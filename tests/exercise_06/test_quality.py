"""Data quality: faults that were planted are told, each by its own check, and nothing else is."""

import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exercise_06_monitoring.production.__main__ import check_data_quality
from exercise_06_monitoring.production.quality.expectations import expectations
from exercise_06_monitoring.production.quality.outliers import outliers
from exercise_06_monitoring.production.quality.views import check_views
from lab.feature_store import open_store
from lab.settings import settings
from tests.exercise_06.monitored_shop import SINCE
from tests.exercise_06.properties import steady
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
    return set(checks[~checks["passed"]][["column", "check"]].itertuples(index=False, name=None))


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
def test_planted_outliers_are_told_with_their_share(column: str, share: float) -> None:
    values, planted = TABLE[column].astype(float), round(share * ROWS)
    values.iloc[:planted] = 50 * values.max()
    checks = check_data_quality(TABLE.assign(**{column: values}))
    assert failed(checks) == {(column, "outlier_rate")}
    (rate,) = checks.query("column == @column and check == 'outlier_rate'")["value"]
    assert rate == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("sigma", [1.5, 2])
def test_a_long_tail_is_no_fault_and_hides_none(sigma: float) -> None:
    tail = RANDOM.lognormal(0, sigma, ROWS)
    assert outliers(tail).tukey > settings.outlier_rate_limit, "the brief's rule would alarm"
    assert failed(check_data_quality(pd.DataFrame({"amount": tail}))) == set()
    tail[: ROWS // 5] *= 1e9
    assert ("amount", "outlier_rate") in failed(check_data_quality(pd.DataFrame({"amount": tail})))


def test_infinities_are_told_and_judged_apart() -> None:
    amount = TABLE["avg_transaction_amount"].copy()
    amount.iloc[:3] = [np.inf, -np.inf, np.inf]
    checks = check_data_quality(TABLE.assign(avg_transaction_amount=amount))
    assert failed(checks) == {("avg_transaction_amount", "infinite")}


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(),
        TABLE.head(0),
        pd.DataFrame({"empty": [None, None]}),
        pd.DataFrame({"one": [1.0]}),
        pd.DataFrame({"whole": pd.array([1, None, 3], "Int64")}),
        pd.DataFrame([[1, 2], [3, 4]], columns=["twice", "twice"]),
        pd.DataFrame({"lists": [[1], [2, 3], None], "complex": [1j, 2j, 3j]}),
    ],
    ids=["nothing", "no rows", "all null", "one row", "Int64", "a name twice", "odd types"],
)
def test_odd_tables_have_a_result(table: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = check_data_quality(table)
    assert list(checks)[:4] == ["column", "check", "value", "passed"]
    assert checks["passed"].all() == bool(len(table) and table.notna().to_numpy().mean() > 0.95)


@steady
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
def test_the_brief_s_rule_is_the_brief_s(values: np.ndarray) -> None:
    column = pd.Series(values)
    low, high = column.quantile(0.25), column.quantile(0.75)
    reach = 1.5 * (high - low)
    expected = ((column < low - reach) | (column > high + reach)).mean() if reach else 0
    assert outliers(values).tukey == pytest.approx(expected)


# ---- Feature views ---------------------------------------------------------------------------

Change = Callable[[pl.DataFrame], pl.DataFrame]
A_FEW = pl.col("merchant_id").hash() % 30 == 0
RECENT = pl.col("created_timestamp") > AS_OF - timedelta(hours=20)


def when_recent(column: str, value: pl.Expr) -> Change:
    return lambda rows: rows.with_columns(
        pl.when(RECENT).then(value).otherwise(pl.col(column)).alias(column)
    )


FAULTS: dict[str, tuple[str, Change, set[tuple[str, str]]]] = {
    "a column is missing": (
        "user_stats",
        lambda rows: rows.drop("total_amount_30d"),
        {("", "columns")},
    ),
    "a column is left over": (
        "user_stats",
        lambda rows: rows.with_columns(pl.lit(1).alias("surprise")),
        {("", "columns")},
    ),
    "a type has changed": (
        "user_stats",
        lambda rows: rows.with_columns(pl.col("transaction_count_7d").cast(pl.String)),
        {("transaction_count_7d", "type")},
    ),
    "a rate above one": (
        "merchant_stats",
        when_recent("refund_rate", pl.col("refund_rate") + A_FEW.cast(pl.Float32) * 1.5),
        {("refund_rate", "range")},
    ),
    "a negative count": (
        "product_stats",
        when_recent("view_count_7d", -1 - pl.col("view_count_7d")),
        {("view_count_7d", "range")},
    ),
    "nulls": (
        "user_stats",
        when_recent("avg_transaction_amount", pl.lit(None, pl.Float32)),
        {("avg_transaction_amount", "null_rate")},
    ),
    "rows twice": (
        "user_stats",
        lambda rows: pl.concat([rows, rows.filter(RECENT).head(5)]),
        {("", "unique_keys")},
    ),
    "a pipeline that stopped": (
        "product_stats",
        lambda rows: rows.filter(pl.col("created_timestamp") < AS_OF - timedelta(hours=5)),
        {("", "freshness")},
    ),
    "a pipeline that is late": (
        "merchant_stats",
        lambda rows: rows.with_columns(
            pl.when(pl.col("event_timestamp") > SINCE)
            .then(pl.col("created_timestamp") + timedelta(hours=3))
            .otherwise(pl.col("created_timestamp"))
            .alias("created_timestamp")
        ),
        {("", "delay")},
    ),
    "most rows are gone": (
        "user_stats",
        lambda rows: rows.filter(~RECENT | (pl.col("user_id").hash() % 10 == 0)),
        {("", "row_count")},
    ),
    "an unknown product": (
        "user_preferences",
        when_recent("last_product_id", pl.lit("product_nobody_sells")),
        {("last_product_id", "references")},
    ),
    "no rows": ("user_stats", lambda rows: rows.head(0), {("", "readable")}),
    "times without rows' keys": (
        "user_stats",
        lambda rows: rows.drop("user_id"),
        {("", "readable")},
    ),
}
VIEWS = {
    "user_stats": "user_transaction_features",
    "merchant_stats": "merchant_risk_features",
    "product_stats": "product_popularity_features",
    "user_preferences": "user_preference_features",
}


def failed_by_view() -> dict[str, set[tuple[str, str]]]:
    found = check_views(open_store(), AS_OF)
    return {
        view: {(c.column, c.check) for c in checks if not c.passed}
        for view, checks in found.items()
    }


def test_a_healthy_shop_passes_every_check(shop: Path) -> None:
    assert {view: wrong for view, wrong in failed_by_view().items() if wrong} == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_its_own_check(fault: str, shop: Path) -> None:
    table, change, expected = FAULTS[fault]
    file = shop / f"{table}.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    assert failed_by_view()[VIEWS[table]] == expected


def test_a_source_may_sleep_as_it_always_did(shop: Path) -> None:
    file = shop / "product_stats.parquet"
    rows = pl.read_parquet(file)
    awake = ~pl.col("created_timestamp").dt.hour().is_between(4, 10)
    rows.filter(awake).write_parquet(file)
    assert failed_by_view()["product_popularity_features"] == set()
    since_yesterday = pl.col("created_timestamp") > AS_OF - timedelta(hours=24)
    rows.filter(awake & ~since_yesterday).write_parquet(file)
    stale = {("", "freshness"), ("", "row_count")}
    assert failed_by_view()["product_popularity_features"] == stale


@pytest.mark.parametrize(
    ("ago", "is_told"), [(timedelta(minutes=30), False), (timedelta(hours=9), True)]
)
def test_a_new_user_is_unknown_only_when_the_other_pipeline_had_its_time(
    ago: timedelta, is_told: bool, shop: Path
) -> None:
    """Streaming features know a user within seconds, the hourly ones an hour or more later."""
    file = shop / "user_streaming.parquet"
    rows = pl.read_parquet(file)
    new = rows.tail(1).with_columns(
        pl.lit("user_of_today").alias("user_id"),
        pl.lit(AS_OF - ago).cast(rows.schema["event_timestamp"]).alias("event_timestamp"),
        pl.lit(AS_OF - ago).cast(rows.schema["created_timestamp"]).alias("created_timestamp"),
    )
    pl.concat([rows, new]).write_parquet(file)
    unknown = {("user_id", "references")} if is_told else set()
    assert failed_by_view()["user_streaming_features"] == unknown


@pytest.mark.parametrize("content", [None, b"not Parquet"], ids=["missing", "damaged"])
def test_a_file_that_cannot_be_read_is_told(content: bytes | None, shop: Path) -> None:
    file = shop / "merchant_stats.parquet"
    file.unlink() if content is None else file.write_bytes(content)
    found = failed_by_view()
    assert found["merchant_risk_features"] == {("", "readable")}
    assert found["user_transaction_features"] == set()


def test_expectations_name_the_features_that_there_are(shop: Path) -> None:
    declared = {v.name: {f.name for f in v.features} for v in open_store().list_feature_views()}
    assert {name: set(view.features) for name, view in expectations().items()} == declared


def test_features_that_the_source_cannot_give_may_be_null(shop: Path) -> None:
    """An imported dataset has no chargebacks: that is known, and no fault of the pipeline."""
    file, manifest = shop / "merchant_stats.parquet", shop / "dataset.json"
    rows = pl.read_parquet(file).with_columns(pl.lit(None, pl.Float32).alias("chargeback_rate"))
    rows.write_parquet(file)
    assert failed_by_view()["merchant_risk_features"] == {("chargeback_rate", "null_rate")}
    manifest.write_text(manifest.read_text().replace('"absent": []', '"absent": ["chargebacks"]'))
    assert failed_by_view()["merchant_risk_features"] == set()
