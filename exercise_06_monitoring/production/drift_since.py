"""Compare each feature with last month and with training.

The rows have entity, week and value; week 0 is the newest. Weeks that alerted are no reference: an
incident that is over would raise an alarm a month later.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pandas as pd

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.production.alerted_days import alerted_days, record_alerted_day
from exercise_06_monitoring.production.drift_limits import (
    MONTH,
    SHARE,
    UNSEEN,
    check_feature,
    check_growth,
    is_lifetime_count,
    weekly_increments,
)
from exercise_06_monitoring.production.quiet_weeks import weekly_psis
from exercise_06_monitoring.windows import (
    WEEK,
    Tables,
    drift_windows,
    features_of,
    read_model,
    read_requests,
    read_training,
    read_views,
)
from lab.learn import UserError

Windows = Callable[[Any, datetime], tuple[pd.DataFrame, pd.DataFrame]]

CANDIDATES, REFERENCE_WEEKS, FEWEST_WEEKS = range(5, 17), 8, 2  # weeks before now


def since_last_month(view: Any, now: datetime, windows: Windows = drift_windows) -> Iterator[Check]:
    """Compare a view's last week with the newest eight quiet weeks of over a month ago.

    Where all of them alerted, the change is the new usual. A lifetime count grows by its
    definition: its weekly increments are compared.
    """
    weeks = {week: windows(view, now - week * WEEK)[1] for week in (*reversed(CANDIDATES), 1, 0)}
    rows = pd.concat(weeks, names=["week"]).reset_index("week")
    rows["entity"] = pd.factorize(rows["entity"])[0]  # to save time
    for name in features_of(view):
        values = rows[["entity", "week"]].assign(value=rows[name])
        if is_lifetime_count(values[values["week"] > MONTH]):
            values = weekly_increments(values)
        alerted = alerted_weeks(name, now)
        quiet = [week for week in CANDIDATES if week not in alerted]
        reference = quiet if len(quiet) >= FEWEST_WEEKS else [*CANDIDATES]
        chosen = [0, *reference[:REFERENCE_WEEKS]]
        compared = values[values["week"].isin(chosen)]
        yield from check_feature(name, compared, partial(weekly_psis, now))


def alerted_weeks(name: str, now: datetime) -> set[int]:
    """Return the weeks before now that the window of an alert of the feature overlaps."""
    names = (name, f"{name}: {SHARE}", f"{name}: {UNSEEN}")
    days = [day for check in names for day in alerted_days("drift", check)]
    ages = [(now.date() - day).days // WEEK.days for day in days]
    return {week for age in ages for week in (age, age + 1)}


def since_training(
    training: pd.DataFrame, served: list[pd.DataFrame], now: datetime
) -> Iterator[Check]:
    """Compare the inputs of the last weeks' requests, newest first, with the training rows.

    The last week is compared, and all four where there are so many. A lifetime count has no check:
    it has grown since training by its definition.
    """
    keys = {name: view.join_keys[0] for view in read_views() for name in features_of(view)}
    train = training[training["split"] == "train"].sort_values("event_timestamp")
    age = train["event_timestamp"].max() - train["event_timestamp"]
    weeks = [rows.assign(week=week) for week, rows in enumerate(served)]
    both = pd.concat([*weeks, train.assign(week=MONTH + age // WEEK)], ignore_index=True)
    is_train, quiet_psis = both["week"] >= MONTH, partial(weekly_psis, now)
    for name in read_model()["features"]:
        entities = pd.factorize(both[keys.get(name, "user_id")])[0]
        rows = both[["week"]].assign(entity=entities, value=both[name])
        if is_lifetime_count(rows[is_train]):
            continue
        week = rows[is_train | (rows["week"] == 0)]
        yield from check_feature(f"{name} since training", week, quiet_psis)
        if len(served[-1]):
            month = rows.assign(week=rows["week"].where(is_train, 0))
            yield from check_feature(f"{name} since training, 28 days", month, quiet_psis)
        numbers = pd.to_numeric(rows["value"], errors="coerce").astype(float)
        yield check_growth(f"{name}: growth since training", rows.assign(value=numbers))


def check_drift(tables: Tables, now: datetime, windows: Windows = drift_windows) -> Iterator[Check]:
    """Yield the checks of both baselines."""
    checks = [check for view, _ in tables for check in since_last_month(view, now, windows)]
    with suppress(UserError):  # without a usable model; its own check names the reason
        training = read_training()
        served = [read_requests(now - week * WEEK) for week in range(MONTH)]
        checks += since_training(training, served, now)
    for check in checks:
        record_alerted_day(check, now)
    yield from checks
