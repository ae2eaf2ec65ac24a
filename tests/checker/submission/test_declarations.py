"""A view's declaration fits its table and the brief, or the message names what does not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from checker.hidden.catalogue import CREATED, EVENT_TIME
from checker.submission.declarations import own_tables, view_problem
from checker.submission.names import Names
from checker.submission.registry import Source, View

MONTH = timedelta(days=30)
COUNTS = {"total_transactions_30d": "INT64", "chargeback_rate": "FLOAT", "refund_rate": "DOUBLE"}
MERCHANTS = View(
    "merchant_risk_features",
    ("merchant",),
    ("merchant_id",),
    COUNTS,
    MONTH,
    True,
    Source("data/merchants.parquet", EVENT_TIME, CREATED, {}),
)
USERS = replace(
    MERCHANTS,
    name="user_transaction_features",
    join_keys=("user_id",),
    features={"transaction_count_7d": "INT64"},
    source=replace(MERCHANTS.source, path="data/users.parquet"),
)
OWN = replace(
    MERCHANTS,
    name="habits",
    features={"usual_hour": "DOUBLE", "country": "STRING", "visits": "INT64", "is_new": "BOOL"},
    ttl=timedelta(hours=1),
    source=Source("data/habits.parquet", EVENT_TIME, "", {}),
)
NOW = pd.Timestamp("2026-03-29", tz="UTC")
HABITS = pd.DataFrame(
    {
        "merchant_id": ["merchant_1", "merchant_2"],
        EVENT_TIME: NOW,
        "usual_hour": [8.5, 9.0],
        "country": ["NL", None],
        "visits": [4.0, None],
        "is_new": [True, False],
    }
)


def problem(
    folder: Path, view: View, tables: Mapping[str, pd.DataFrame], *, prepared: bool = True
) -> str:
    """Return the problem of a view among others; its table is there before the hidden ones."""
    views = {each.name: each for each in (USERS, MERCHANTS, OWN)} | {view.name: view}
    submission: Any = SimpleNamespace(
        names=Names(),
        registry=SimpleNamespace(
            views=views, entities={"user": "user_id", "merchant": "merchant_id"}
        ),
        repo=folder,
        root=folder,
    )
    (folder / "data").mkdir()
    brought = own_tables(submission)
    for name, table in tables.items():
        table.to_parquet(folder / "data" / f"{name}.parquet")
    own = own_tables(submission) if prepared else brought
    submission.running = lambda _: own
    return view_problem(submission, view)


def of_merchants(view: View = MERCHANTS) -> pd.DataFrame:
    """Return a table with the columns that a view names, as the grader writes it."""
    named = [*view.join_keys, view.source.event_time, view.source.created, *view.features]
    columns = [view.source.column(name) for name in named if name]
    return pd.DataFrame({name: [1, 2] for name in columns})


RIGHT = {
    "without a created time": replace(MERCHANTS.source, created=""),
    "with a mapping of its times": replace(
        MERCHANTS.source, column_of={EVENT_TIME: "ts", "refund_rate": "rr"}
    ),
}
WRONG_TIMES = {
    "swapped": (CREATED, EVENT_TIME),
    "created time as event time": (CREATED, ""),
    "event time twice": (EVENT_TIME, EVENT_TIME),
    "an event time that no table has": ("event_ts", CREATED),
    "a created time that no table has": (EVENT_TIME, "ingested_at"),
}
WRONG_VIEWS = {
    "no TTL": (replace(MERCHANTS, ttl=timedelta(0)), "no TTL"),
    "a TTL in seconds": (replace(MERCHANTS, ttl=timedelta(seconds=90)), "its TTL is 0:01:30"),
    "a TTL of a century": (replace(MERCHANTS, ttl=timedelta(days=36_500)), "nothing expires"),
    "a count as a text": (
        replace(MERCHANTS, features={**COUNTS, "total_transactions_30d": "STRING"}),
        "total_transactions_30d as STRING",
    ),
    "another key": (replace(MERCHANTS, join_keys=("user_id",)), "joined on user_id, not on merch"),
    "two keys": (replace(MERCHANTS, join_keys=("user_id", "merchant_id")), "joined on user_id, m"),
    "another view's table": (
        replace(MERCHANTS, source=replace(MERCHANTS.source, path=USERS.source.path)),
        "reads users.parquet, as user_transaction_features does",
    ),
}


@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT)
def test_a_right_view_has_no_problem(tmp_path: Path, source: Source) -> None:
    view = replace(MERCHANTS, source=source)
    assert problem(tmp_path, view, {"merchants": of_merchants(view)}, prepared=False) == ""


def test_a_table_of_ones_own_has_times_of_any_name(tmp_path: Path) -> None:
    view = replace(MERCHANTS, source=replace(MERCHANTS.source, event_time="at", created="written"))
    assert problem(tmp_path, view, {"merchants": of_merchants(view)}) == ""


@pytest.mark.parametrize(("event", "created"), WRONG_TIMES.values(), ids=WRONG_TIMES)
def test_a_wrong_column_of_times_is_named(tmp_path: Path, event: str, created: str) -> None:
    """The hidden table has every column that a source names, also one that nobody would write."""
    view = replace(MERCHANTS, source=replace(MERCHANTS.source, event_time=event, created=created))
    found = problem(tmp_path, view, {"merchants": of_merchants(view)}, prepared=False)
    assert (created if event == EVENT_TIME else event) in found
    assert " time is " in found or "no table has" in found


def test_a_time_that_the_own_table_lacks_is_named(tmp_path: Path) -> None:
    view = replace(MERCHANTS, source=replace(MERCHANTS.source, event_time="event_ts"))
    found = problem(tmp_path, view, {"merchants": of_merchants()})
    assert found == "merchants.parquet has no column event_ts"


@pytest.mark.parametrize(("view", "named"), WRONG_VIEWS.values(), ids=WRONG_VIEWS)
def test_a_wrong_declaration_is_named(tmp_path: Path, view: View, named: str) -> None:
    tables = {Path(view.source.path).stem: of_merchants(view)}
    assert named in problem(tmp_path, view, tables, prepared=False)


@pytest.mark.parametrize(
    ("feature", "declared", "named"),
    [
        ("usual_hour", "DOUBLE", ""),
        ("visits", "INT64", ""),
        ("is_new", "INT64", ""),
        ("country", "STRING", ""),
        ("usual_hour", "INT64", "declares usual_hour as INT64, and its values have fractions"),
        ("usual_hour", "STRING", "declares usual_hour as STRING, and habits.parquet has a number"),
        ("usual_hour", "BOOL", "declares usual_hour as BOOL"),
        ("country", "INT64", "declares country as INT64, and habits.parquet has a text"),
    ],
)
def test_types_of_an_own_table_fit(tmp_path: Path, feature: str, declared: str, named: str) -> None:
    view = replace(OWN, features={**OWN.features, feature: declared})
    found = problem(tmp_path, view, {"habits": HABITS})
    assert named in found if named else found == ""
