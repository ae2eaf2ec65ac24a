"""Count the false alarms of the drift limits in quiet shops, and the days until growth is found.

python -m tests.exercise_06.drift_figures [seeds]. A seed is 120 days and minutes of work. It is
stored in false_alarms.json, and measured again after a change of the limits only.
"""

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import pandas as pd

from exercise_06_monitoring.production import drift_limits, drift_since, quiet_weeks
from exercise_06_monitoring.production.alerted_days import record_alerted_day
from exercise_06_monitoring.production.drift_limits import MONTH, check_growth, check_psi
from exercise_06_monitoring.windows import BURN_IN, ONE_ROW_OF_AN_ENTITY
from lab.dataset.simulate import simulate
from lab.files import replacing
from tests.exercise_06.growing_prices import SIGMAS, served_until
from tests.exercise_06.monitored_shop import MONITORED, views_in
from tests.settings_in_force import settings_in_force
from tests.shop import AS_OF

DAY, WEEK = timedelta(days=1), timedelta(days=7)
DAYS, TRAINING = 120, 60 * DAY
LONGEST = WEEK * (drift_since.CANDIDATES.stop + 1)  # the oldest week of a reference
PAYMENTS_A_DAY = 220
STORED = Path(__file__).with_name("false_alarms.json")
MOST_DAYS = 120  # until growth is found


def requests(folder: Path) -> pd.DataFrame:
    """Return every payment with the newest features that were created before it."""
    raw = pd.read_parquet(folder / "transactions.parquet")
    keys = ["user_id", "merchant_id", "product_id"]
    rows = raw[["event_timestamp", "amount", *keys]].sort_values("event_timestamp")
    for view in views_in(folder):
        columns = [view.join_keys[0], "created_timestamp", *(f.name for f in view.features)]
        table = pd.read_parquet(view.batch_source.path, columns=columns)
        rows = pd.merge_asof(
            rows,
            table.sort_values("created_timestamp"),
            left_on="event_timestamp",
            right_on="created_timestamp",
            by=view.join_keys[0],
        ).drop(columns="created_timestamp")
    return rows


def weeks_of(views: list[Any]) -> drift_since.Windows:
    """Return windows without a reference, of tables that are read once.

    The reference weeks of a day are the current ones of other days: `cache` has them.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    queries = {}
    for view in views:
        source, key = view.batch_source, view.join_keys[0]
        columns = [key, source.timestamp_field, source.created_timestamp_column]
        selected = ", ".join([*columns, *(field.name for field in view.features)])
        table = f"SELECT {selected} FROM '{source.path}' ORDER BY {source.timestamp_field}"
        connection.execute(f"CREATE TABLE {view.name} AS {table}")
        names = dict(zip(("key", "timestamp", "created"), columns, strict=True))
        query = ONE_ROW_OF_AN_ENTITY.replace("read_parquet($file)", view.name)
        queries[view.name] = query.format(**names)

    @cache
    def week_before(name: str, now: datetime) -> pd.DataFrame:
        values = {"start": now - WEEK, "end": now, "now": now, "weeks": 1, "burn_in": BURN_IN}
        values["groups"] = 1
        return connection.execute(queries[name], values).df()

    return lambda view, now: (pd.DataFrame(), week_before(view.name, now))


def alarms(folder: Path, days: range) -> Iterator[tuple[int, str]]:
    """Yield the alarms of both baselines on these days."""
    views, rows = views_in(folder), requests(folder)
    windows = weeks_of(views)
    names = [name for name in MONITORED if pd.api.types.is_numeric_dtype(rows[name])]
    begin = AS_OF - days.stop * DAY
    age = begin - rows["event_timestamp"]
    training = rows[(age > 30 * DAY) & (age <= 30 * DAY + TRAINING)].assign(split="train")
    for day in days:
        now = begin + day * DAY
        ends = [now - week * WEEK for week in range(MONTH)]
        times = rows["event_timestamp"]
        served = [rows[(times > end - WEEK) & (times <= end)] for end in ends]
        with (
            patch.object(drift_since, "read_views", lambda: views),
            patch.object(drift_since, "read_model", lambda: {"features": [*names, "amount"]}),
        ):
            checks = [
                check
                for view in views
                for check in drift_since.since_last_month(view, now, windows)
            ]
            checks += drift_since.since_training(training, served, now)
        for check in checks:
            record_alerted_day(check, now)
            if check.passed is False:
                yield day, f"{check.feature}: {check.message}"


def episodes(found: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the first day of each alarm that was not there the day before."""
    days = {(day, text.split(":")[0]) for day, text in found}
    return [(day, text) for day, text in found if (day - 1, text.split(":")[0]) not in days]


def false_alarms(seed: int, days: range = range(DAYS)) -> list[tuple[int, str]]:
    """Return the episodes of a quiet shop."""
    history = days.stop * DAY + LONGEST + BURN_IN
    payments = PAYMENTS_A_DAY * history.days
    with (
        TemporaryDirectory(prefix="drift_figures_") as folder,
        settings_in_force(data_dir=Path(folder)),
    ):
        simulate(Path(folder), transactions=payments, seed=seed, as_of=AS_OF, history=history)
        return episodes(list(alarms(Path(folder), days)))


def store_false_alarms(seeds: int) -> None:
    """Measure the seeds that the present code has not measured."""
    code = hashlib.sha256()
    for module in (drift_limits, drift_since, quiet_weeks):
        code.update(ast.dump(ast.parse(inspect.getsource(module))).encode())
    stored = json.loads(STORED.read_text())
    if stored["code"] != code.hexdigest():
        stored = {"code": code.hexdigest(), "days": DAYS, "episodes": {}}
    for seed in map(str, range(seeds)):
        if seed not in stored["episodes"]:
            stored["episodes"][seed] = false_alarms(int(seed))
            with replacing(STORED) as temp_path:
                temp_path.write_text(json.dumps(stored, indent=1) + "\n")
        print(f"seed {seed}: {stored['episodes'][seed]}", flush=True)


def days_until_growth_is_found(sigma: float, seed: int, window: int) -> list[int]:
    """Return the first day on which the ratio, the PSI of a week and that of four weeks fail."""
    first = [MOST_DAYS] * 3
    for day in reversed(range(MOST_DAYS)):
        rows = served_until(day, sigma, seed, window)
        week, is_train = rows[~rows["week"].between(1, 3)], rows["week"] >= MONTH
        month = rows.assign(week=rows["week"].where(is_train, 0))
        checks = check_growth("", rows), check_psi("", week), check_psi("", month)
        first = [day if c.passed is False else d for c, d in zip(checks, first, strict=True)]
    return first


if __name__ == "__main__":
    for sigma in SIGMAS:
        for window in (0, 30):
            found = [days_until_growth_is_found(sigma, seed, window) for seed in range(10)]
            days = [f"{min(days)} to {max(days)}" for days in zip(*found, strict=True)]
            print(f"sigma {sigma}, window {window}: days by ratio and PSIs: {days}", flush=True)
    store_false_alarms(int(sys.argv[1]) if sys.argv[1:] else 20)
