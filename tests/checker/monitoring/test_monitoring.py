"""The questions on exercise 6 have one right answer, by whichever sound method."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from checker.hidden.catalogue import EVENT_TIME, KNOWN_VIEWS
from checker.monitoring.quality import (
    NULLS,
    OUTLIERS,
    TEXT,
    PlantedTable,
    mistakes,
    planted_table,
    quality_results,
)
from checker.monitoring.windows import DRIFTS, window_table

NOW = datetime(2026, 3, 29, 3, 40, tzinfo=UTC)
VIEW = KNOWN_VIEWS["user_transaction_features"]
DAY = timedelta(days=1)


def windows(
    drift: dict[str, Any], passing: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of days -60 to -30, and of the last 7 days."""
    table = window_table(VIEW, 5, NOW, drift, passing)
    return of_days(table, 60, 30), of_days(table, 7, 0)


def of_days(table: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    age = NOW - table[EVENT_TIME]
    return table[(age > last * DAY) & (age <= first * DAY)]


READINGS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "rows": lambda rows: rows,
    "a random row of each entity": lambda rows: rows.groupby(VIEW.key).sample(1, random_state=3),
    "the last row of each entity": lambda rows: rows.groupby(VIEW.key).last(),
    "the mean of each entity": lambda rows: rows.groupby(VIEW.key)[list(VIEW.features)].mean(),
}


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("passing", [False, True], ids=["drift", "drift between the windows"])
def test_windows_drift_where_it_is_planted_however_they_are_read(
    reading: str, passing: bool
) -> None:
    """A change that lies only in the days between the two windows is no drift."""
    drift = dict(zip(VIEW.features, DRIFTS, strict=False))
    pair = windows(drift, VIEW.features if passing else ())
    reference, current = (READINGS[reading](rows) for rows in pair)
    for feature in VIEW.features:
        p_value = stats.ks_2samp(reference[feature], current[feature]).pvalue
        has_drift = feature in drift and not passing
        assert p_value < 1e-9 if has_drift else p_value > 0.9, (feature, p_value)


def test_values_move_from_day_to_day_in_both_windows() -> None:
    for rows in windows({}):
        by_day = rows.pivot_table(index=EVENT_TIME, columns=VIEW.key, values=VIEW.features[-1])
        assert (by_day.diff().iloc[1:] != 0).to_numpy().mean() > 0.9


def rates(planted: PlantedTable) -> list[dict[str, Any]]:
    """A right answer, as records."""
    return [
        {"column": column, "check": f"{fault}_rate", "value": shares.get(column, 0.0)}
        for fault, shares in ((f.removesuffix("s"), planted.shares[f]) for f in (NULLS, OUTLIERS))
        for column in planted.rows
        if not (fault == "outlier" and column == TEXT)
    ]


def with_verdicts(planted: PlantedTable) -> list[dict[str, Any]]:
    return [{**record, "passed": record["value"] == 0} for record in rates(planted)]


def by_column(planted: PlantedTable) -> dict[str, dict[str, Any]]:
    return {
        column: {r["check"]: r["value"] for r in rates(planted) if r["column"] == column}
        for column in planted.rows
    }


FORMS: dict[str, Callable[[PlantedTable], Any]] = {
    "records": with_verdicts,
    "records without verdicts": rates,
    "a table": lambda planted: pd.DataFrame(with_verdicts(planted)),
    "a row per column": lambda planted: [{"column": c, **r} for c, r in by_column(planted).items()],
    "a dictionary": by_column,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_right_answer_is_right_in_every_form(form: str) -> None:
    planted = planted_table(5)
    names = {column: column for column in planted.rows}
    assert list(mistakes(planted, quality_results(FORMS[form](planted), names))) == []


def test_nothing_is_wrong_for_every_column() -> None:
    planted = planted_table(5)
    assert len(list(mistakes(planted, quality_results(None, {})))) == 2 * planted.rows.shape[1] - 1


def test_a_failed_check_of_a_clean_column_is_wrong() -> None:
    planted = planted_table(5)
    clean = "refund_rate"
    checks = [{**r, "passed": r["value"] == 0 and r["column"] != clean} for r in rates(planted)]
    names = {column: column for column in planted.rows}
    wrong = [case for case, *_ in mistakes(planted, quality_results(checks, names))]
    assert wrong == [f"nulls of {clean}", f"outliers of {clean}"]
