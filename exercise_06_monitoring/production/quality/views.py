"""All checks of a feature view's data, as they stand at a moment."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from math import inf
from statistics import median

import polars as pl
from feast import FeatureStore

from exercise_06_monitoring.production.check import (
    WHOLE_TABLE,
    Check,
    counted,
    duration,
    not_measured,
)
from exercise_06_monitoring.production.quality.arrivals import Arrivals, Habit
from exercise_06_monitoring.production.quality.columns import check_columns
from exercise_06_monitoring.production.quality.expectations import ViewExpectation, expectations
from exercise_06_monitoring.production.quality.schema import check_schema
from feast_plugins.feature_source import SourceError
from lab.dataset import manifest
from lab.dataset.tables import MANIFEST
from lab.settings import settings

DAYS_BEFORE = 7
USUAL = (0.33, 3)  # times the median of the days before
LATE = 2  # times what was the most a month before


def check_views(store: FeatureStore, as_of: datetime) -> dict[str, list[Check]]:
    """The checks of every view by name, over the rows that arrived in the quality window."""
    arrivals = {
        view.name: Arrivals(store, view, as_of)
        for view in store.list_feature_views()
        if view.name in expectations()
    }
    return {name: check_view(arrivals, name, as_of) for name in arrivals}


def check_view(arrivals: Mapping[str, Arrivals], name: str, as_of: datetime) -> list[Check]:
    """One view; `arrivals` has those that it refers to as well."""
    mine, expected = arrivals[name], expectations()[name]
    try:
        rows = mine.within(settings.quality_window)
        return [
            *check_schema(mine, rows, expected),
            *_times(mine, expected, as_of),
            _row_count(mine),
            *(_rates(mine, rows, expected) if len(rows) else []),
            *_references(arrivals, name, rows, expected),
        ]
    except (SourceError, pl.exceptions.ComputeError, OSError) as error:
        return [Check(WHOLE_TABLE, "readable", 1, False, f"it cannot be read: {error}")]


def _rates(mine: Arrivals, rows: pl.DataFrame, expected: ViewExpectation) -> list[Check]:
    names = [field.name for field in mine.view.features if field.name in rows.columns]
    limits = {name: expected.features[name] for name in names if name in expected.features}
    nulls = {name: limit.max_null_rate for name, limit in limits.items()}
    return check_columns(
        rows.select(names).to_pandas(),
        null_limits=nulls | dict.fromkeys(_absent_at_the_source(), 1.0),
        outlier_limits={name: limit.max_outlier_rate for name, limit in limits.items()},
    )


def _absent_at_the_source() -> list[str]:
    """Features that the imported data cannot give: null everywhere, and known to be."""
    if not (settings.data_dir / MANIFEST).exists():
        return []
    return [name.split(".")[1] for name in manifest.read(settings.data_dir).null_features]


def _times(mine: Arrivals, expected: ViewExpectation, as_of: datetime) -> list[Check]:
    """Whether rows arrive, and if they do, whether what arrives is as new as it used to be.

    A source may be silent for twice as long as it was a month before: shops sleep.
    """
    arrived = mine.newest()
    if arrived is None:
        return [Check(WHOLE_TABLE, "freshness", inf, False, "nothing has ever arrived")]
    limit, habit = timedelta(minutes=expected.fresh_within_minutes), mine.habit()
    fresh = _freshness(as_of - arrived, max(limit, LATE * habit.pause) if habit else limit)
    if not fresh.passed:
        return [fresh]
    return [fresh, _delay(as_of - mine.newest_values(), habit)]


def _freshness(silent: timedelta, most: timedelta) -> Check:
    age, limit = silent.total_seconds(), most.total_seconds()
    message = f"the newest row arrived {duration(age)} ago, at most {duration(limit)} is expected"
    if silent > most:
        message = f"stale source, {message}"
    return Check(WHOLE_TABLE, "freshness", age, silent <= most, message, limit)


def _delay(newest: timedelta, habit: Habit | None) -> Check:
    if habit is None:
        return not_measured("delay", "there are no rows of a month before to compare with")
    age, usual = newest.total_seconds(), habit.age.total_seconds()
    message = f"the newest values are {duration(age)} old, at most {duration(usual)} was usual"
    return Check(WHOLE_TABLE, "delay", age, age <= LATE * usual, message, LATE * usual)


def _row_count(mine: Arrivals) -> Check:
    today, *before = mine.by_day(1 + DAYS_BEFORE)
    usual = median(before)
    low, high = (share * usual for share in USUAL)
    message = f"{today:,} rows arrived in a day, {usual:,.0f} are usual"
    return Check(WHOLE_TABLE, "row_count", today, low <= today <= high or not usual, message)


def _references(
    arrivals: Mapping[str, Arrivals], name: str, rows: pl.DataFrame, expected: ViewExpectation
) -> Iterator[Check]:
    (key,) = arrivals[name].view.join_keys
    referred = {
        feature: limits.refers_to
        for feature, limits in expected.features.items()
        if limits.refers_to
    }
    referred |= {key: expected.keys_refer_to} if expected.keys_refer_to else {}
    for column, view in referred.items():
        if column in rows.columns:
            known, named = arrivals[view], arrivals[name].settled(rows, arrivals[view])
            unknown = set(named[column].drop_nulls()) - known.ids()
            message = f"{counted(len(unknown), 'id')} that {view} does not know"
            yield Check(column, "references", len(unknown), not unknown, message)
