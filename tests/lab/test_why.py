"""`lab why` traces a value through events, snapshots, Redis and the API."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from checker.cli import app
from lab.errors import UserError
from lab.stack.ports import free_port
from lab.why import explain
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF, NewShop, Size

FEATURE = "transaction_count_7d"


@pytest.fixture
def stats(new_shop: NewShop, point_settings: PointSettings) -> Path:
    """Return the file of the user snapshots of a shop, to which the settings point."""
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings, api_port=free_port())
    return shop.data / "user_stats.parquet"


def newest(stats: Path) -> "pd.Series[str]":
    rows = pd.read_parquet(stats)
    return rows[rows["created_timestamp"] <= AS_OF].sort_values("event_timestamp").iloc[-1]


def test_the_visible_snapshot_is_marked_and_its_events_counted(stats: Path) -> None:
    row = newest(stats)
    lines = list(explain(row["user_id"], FEATURE, AS_OF))
    (marked,) = (line for line in lines if "<- the value" in line)
    assert f"{row['event_timestamp']:%Y-%m-%d %H:%M}" in marked
    assert f": {row[FEATURE]}   <-" in marked
    (counted,) = (line for line in lines if line.startswith("transactions in the 7d before"))
    assert counted.endswith(f": {row[FEATURE]:,}")
    assert lines[-2:] == [
        "Redis, now:  no row; next: lab run 3",
        "the API, now: it does not run; next: lab run 4",
    ]


def test_a_row_that_had_not_arrived_is_named_and_not_taken(stats: Path) -> None:
    row = newest(stats)
    moment = row["created_timestamp"] - timedelta(seconds=1)
    lines = list(explain(row["user_id"], FEATURE, moment))
    (late,) = (line for line in lines if "(not arrived yet)" in line)
    assert f"{row['event_timestamp']:%Y-%m-%d %H:%M}" in late


@pytest.mark.parametrize(
    ("entity", "feature", "problem"),
    [("user_0", "no_such_feature", "there are avg_amount_1h"), ("nobody", FEATURE, "has no row")],
)
def test_what_is_unknown_is_one_sentence(
    entity: str, feature: str, problem: str, stats: Path
) -> None:
    with pytest.raises(UserError, match=problem):
        list(explain(entity, feature, AS_OF))


@pytest.mark.parametrize("text", ["2026-05-01T12:00", "yesterday"])
def test_a_time_needs_a_zone(text: str) -> None:
    result = CliRunner().invoke(app, ["why", "user_0", FEATURE, "--at", text])
    assert isinstance(result.exception, UserError)
