"""`lab run 3 --production all`: the changes of each step in Redis, again at every run."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
import redis

from exercise_03_materialize.production.__main__ import PARTS, run_parts
from feast_plugins.redis_encoding import time_field
from lab.settings import settings
from tests.exercise_03.shop_tables import TABLES, Dump, keys_of, read_table
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

HOUR = timedelta(hours=1)
STREAMED = b"a field of exercise 5"
pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, list[int]]]:
    """Run the script; return its counts: of the initial run, of three hours, of the backfill."""

    def counts() -> dict[str, list[int]]:
        capsys.readouterr()
        run_parts(set(PARTS))
        lines = re.findall(r"^(\w+_features)((?: +\d+)+)$", capsys.readouterr().out, re.MULTILINE)
        return {view: [int(number) for number in numbers.split()] for view, numbers in lines}

    return counts


def known(view: str, moment: datetime) -> pd.DataFrame:
    """Return each entity's newest row of those that had arrived by `moment`, by pandas."""
    table = read_table(view)
    table = table[table["created_timestamp"] <= moment]
    newest = table.sort_values(["event_timestamp", "created_timestamp"])
    return newest.drop(columns="created_timestamp").groupby(newest.columns[0]).tail(1)


def expected(view: str, as_of: datetime) -> list[int]:
    """Return how many newest rows differ from those of an hour before."""
    rows = [known(view, as_of - hours * HOUR) for hours in (3, 2, 1, 0)]
    changes = [
        len(after.merge(before, how="left", indicator=True).query("_merge == 'left_only'"))
        for before, after in pairwise(rows)
    ]
    return [len(rows[0]), *changes, 0]


@pytest.mark.parametrize(
    "as_of", [AS_OF, AS_OF.replace(hour=2, minute=0)], ids=["morning", "after midnight"]
)
def test_each_run_counts_what_arrived(
    as_of: datetime,
    run: Callable[[], dict[str, list[int]]],
    point_settings: PointSettings,
) -> None:
    """The second run shows the same as the first; the hour after midnight has everyone."""
    point_settings(as_of=as_of)
    first = run()
    assert first == {view: expected(view, as_of) for view in TABLES}
    assert run() == first
    total = sum(map(sum, (numbers[1:4] for numbers in first.values())))
    everyone = sum(numbers[0] for numbers in first.values())
    assert (total > everyone * 0.9) == (as_of != AS_OF)
    assert total > 0


def test_rows_of_the_streaming_view_stay(
    client: redis.Redis, run: Callable[[], object], dump: Callable[[], Dump]
) -> None:
    (key,) = keys_of("user_transaction_features", ["user_0"])
    client.hset(key, STREAMED, b"1")
    client.hset(key, time_field("user_transaction_features"), b"\x08\x01")  # of 1970
    run()
    assert dump()[key][STREAMED] == b"1"


def test_the_read_latency_is_recorded(run: Callable[[], object]) -> None:
    run()
    figures = json.loads((settings.build_dir / "figures.json").read_text())
    p50, p95 = (figures[f"online_read_{name}_ms"] for name in ("p50", "p95"))
    assert p50["unit"] == p95["unit"] == "ms"
    assert 0 < p50["value"] <= p95["value"]
