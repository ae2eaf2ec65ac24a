"""Compare each feature with last month and with training, once a day.

The rows have entity, week and value; week 0 is the newest. Weeks that alerted are no reference: an
incident that is over would raise an alarm a month later.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import pandas as pd

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.bins import independent_rows
from exercise_06_monitoring.production.alerted_days import alerted_days, record_alerted_day
from exercise_06_monitoring.production.drift_limits import (
    MIN_UNITS,
    MONTH,
    SHARE,
    UNSEEN,
    check_feature,
    check_growth,
)
from exercise_06_monitoring.state import earlier_runs
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

    Where all of them alerted, the change is the new usual.
    """
    weeks = {week: windows(view, now - week * WEEK)[1] for week in (0, *CANDIDATES)}
    rows = pd.concat(weeks, names=["week"]).reset_index("week")
    rows["entity"] = pd.factorize(rows["entity"])[0]  # to save time
    for name in features_of(view):
        alerted = alerted_weeks(name, now)
        quiet = [week for week in CANDIDATES if week not in alerted]
        reference = quiet if len(quiet) >= FEWEST_WEEKS else [*CANDIDATES]
        chosen = rows[rows["week"].isin([0, *reference[:REFERENCE_WEEKS]])]
        yield from check_feature(name, chosen[["entity", "week"]].assign(value=chosen[name]))


def alerted_weeks(name: str, now: datetime) -> set[int]:
    """Return the weeks before now that the window of an alert of the feature overlaps."""
    names = (name, f"{name}: {SHARE}", f"{name}: {UNSEEN}")
    days = [day for check in names for day in alerted_days("drift", check)]
    ages = [(now.date() - day).days // WEEK.days for day in days]
    return {week for age in ages for week in (age, age + 1)}


def since_training(training: pd.DataFrame, served: list[pd.DataFrame]) -> Iterator[Check]:
    """Compare the inputs of the last weeks' requests, newest first, with the training rows.

    All of them are compared where the last week alone is worth too few units.
    """
    keys = {name: view.join_keys[0] for view in read_views() for name in features_of(view)}
    train = training[training["split"] == "train"]
    age = train["event_timestamp"].max() - train["event_timestamp"]
    weeks = [rows.assign(week=week) for week, rows in enumerate(served)]
    both = pd.concat([*weeks, train.assign(week=MONTH + age // WEEK)], ignore_index=True)
    for name in read_model()["features"]:
        entities = pd.factorize(both[keys.get(name, "user_id")])[0]
        rows = both[["week"]].assign(entity=entities, value=both[name])
        units = independent_rows(rows["entity"][rows["week"] == 0])
        newest = rows["week"].eq(0) if units >= MIN_UNITS else rows["week"].lt(MONTH)
        is_compared = newest | (rows["week"] >= MONTH)
        compared = rows.assign(week=rows["week"].mask(newest, 0))[is_compared]
        yield from check_feature(f"{name} since training", compared)
        numbers = rows.assign(value=pd.to_numeric(rows["value"], errors="coerce").astype(float))
        yield check_growth(f"{name}: growth since training", numbers)


def check_drift(tables: Tables, now: datetime, windows: Windows = drift_windows) -> Iterator[Check]:
    """Yield the checks of both baselines, in the first run of a day that ends.

    A rerun for an earlier time has them, too, and records no alerted day.
    """
    is_newest, last_run = earlier_runs(now)
    if is_newest and last_run and last_run.date() == now.date():
        return
    checks = [check for view, _ in tables for check in since_last_month(view, now, windows)]
    with suppress(UserError):  # without a usable model; its own check names the reason
        training = read_training()
        served = [read_requests(now - week * WEEK) for week in range(MONTH)]
        checks += since_training(training, served)
    for check in checks if is_newest else ():
        record_alerted_day(check, now)
    yield from checks
