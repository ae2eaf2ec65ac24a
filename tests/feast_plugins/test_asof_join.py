"""The as-of join against a join written out in plain Python, on rows made to be awkward."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_plugins.asof_join import CREATED, TIME, in_order, join, timeline
from tests.feast_plugins.asof_by_hand import by_hand

START = datetime(2026, 1, 1)
MOMENTS = st.integers(0, 12).map(lambda hours: START + timedelta(hours=hours))
KEYS = st.sampled_from(["a", "b", None])
ROW = st.fixed_dictionaries({"key": KEYS, TIME: MOMENTS, CREATED: st.none() | MOMENTS})
ASKED = st.fixed_dictionaries({"key": KEYS, TIME: MOMENTS})
TTL = st.sampled_from([None, timedelta(hours=1), timedelta(hours=5)])
MOMENT = pl.Datetime("us")
SCHEMA = pl.Schema({"key": pl.String(), TIME: MOMENT, CREATED: MOMENT, "value": pl.Int64()})

Row = dict[str, Any]


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(ROW, max_size=14), st.lists(ASKED, min_size=1, max_size=8), TTL, st.booleans())
def test_the_join_is_what_it_says(
    rows: list[Row], asked: list[Row], ttl: timedelta | None, known_only: bool
) -> None:
    numbered = [{**row, "value": number} for number, row in enumerate(rows)]
    of = timeline(pl.DataFrame(numbered, schema=SCHEMA), ["key"], ttl, known_only=known_only)
    questions = pl.DataFrame(asked, schema={"key": pl.String, TIME: pl.Datetime("us")})
    expected = [
        by_hand(a, numbered, {"key": "key"}, ttl, time=TIME, created=CREATED, known_only=known_only)
        for a in asked
    ]
    answers = join(questions, in_order(questions), of)["value"].to_list()
    assert answers == [row and row["value"] for row in expected]


def test_a_key_is_asked_in_the_type_of_the_rows() -> None:
    """A whole number in a float column is that number; what the type cannot hold has no row."""
    rows = pl.DataFrame({"key": [1, 2], TIME: [START, START], "value": [10, 20]})
    asked = pl.DataFrame({"key": [2.0, 1.5, None, float("nan"), 1e300], TIME: [START] * 5})
    of = timeline(rows, ["key"], None, known_only=False)
    answers = join(asked, in_order(asked), of)
    assert answers["value"].to_list() == [20, None, None, None, None]
