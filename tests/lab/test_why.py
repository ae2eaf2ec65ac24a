"""`lab why` traces a value through events, snapshots, Redis and the API."""

from datetime import datetime, timedelta
from os.path import relpath
from pathlib import Path

import pandas as pd
import pytest
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64
from typer.testing import CliRunner

from checker.cli import app
from lab.errors import UserError
from lab.learn import open_store, settings
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


TIMES = pd.to_datetime(["2026-05-01", "2026-05-20", "2026-05-29"])


@pytest.fixture
def own_views(stats: Path) -> None:
    """Register a learner's views: of number keys, times without a zone, and of two keys."""
    card = Entity(name="card", join_keys=["card_number"], value_type=ValueType.INT64)
    shop_entity = Entity(name="own_shop", join_keys=["own_shop"], value_type=ValueType.STRING)
    rows = {"card_number": [1, 1, 2], "own_shop": ["a", "a", "b"], "seen": TIMES}
    table = pd.DataFrame({**rows, "risk": [1.0, 2.0, 3.0], "pair_risk": [1.0, 2.0, 3.0]})
    path = relpath(stats.with_name("cards.parquet"), settings.feature_repo)
    table.to_parquet(stats.with_name("cards.parquet"))
    source = FileSource(name="cards", path=path, timestamp_field="seen")
    views = [
        FeatureView(
            name=f"of_{name}",
            entities=entities,
            schema=[Field(name=name, dtype=Float64)],
            source=source,
            ttl=timedelta(days=10),
        )
        for name, entities in {"risk": [card], "pair_risk": [card, shop_entity]}.items()
    ]
    open_store().apply([card, shop_entity, *views])


@pytest.mark.usefixtures("own_views")
def test_a_learners_view_has_a_relative_path_number_keys_and_times_without_a_zone() -> None:
    moment = datetime.fromisoformat("2026-05-25T01:00+02:00")
    lines = list(explain("1", "risk", moment))
    assert lines[0].endswith("at 2026-05-24 23:00:00 UTC")
    (marked,) = (line for line in lines if "<- the value" in line)
    assert marked.strip().startswith("2026-05-20 00:00, arrived 05-20 00:00: 2.0")
    expired = list(explain("2", "risk", datetime.fromisoformat("2026-06-20T00:00Z")))
    assert any("none is visible" in line for line in expired)


@pytest.mark.usefixtures("own_views")
def test_a_view_of_two_keys_is_one_sentence() -> None:
    with pytest.raises(UserError, match="of_pair_risk has 2 join keys"):
        list(explain("1", "pair_risk", AS_OF))


def test_a_folder_without_a_store_is_one_sentence(
    tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(feature_repo=tmp_path)
    with pytest.raises(UserError, match="there is no"):
        list(explain("user_0", FEATURE, AS_OF))
