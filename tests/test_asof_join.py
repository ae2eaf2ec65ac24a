"""The as-of join against a join written out in plain Python, on rows made to be awkward."""

from datetime import datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_plugins.asof_join import CREATED, TIME, in_order, join, timeline

START = datetime(2026, 1, 1)
MOMENTS = st.integers(0, 12).map(lambda hours: START + timedelta(hours=hours))
KEYS = st.sampled_from(["a", "b", None])
ROW = st.fixed_dictionaries({"key": KEYS, TIME: MOMENTS, CREATED: st.none() | MOMENTS})
ASKED = st.fixed_dictionaries({"key": KEYS, TIME: MOMENTS})
TTL = st.sampled_from([None, timedelta(hours=1), timedelta(hours=5)])
SCHEMA = {"key": pl.String, TIME: pl.Datetime("us"), CREATED: pl.Datetime("us"), "value": pl.Int64}

Row = dict[str, object]


def by_hand(asked: Row, rows: list[Row], ttl: timedelta | None, known_only: bool) -> object:
    """The value of the newest row that counts; created decides between equal times."""

    def counts(row: Row) -> bool:
        is_asked = row["key"] is not None and row["key"] == asked["key"]
        is_in_time = row[TIME] <= asked[TIME] and (not ttl or asked[TIME] - row[TIME] <= ttl)
        is_known = row[CREATED] is not None and row[CREATED] <= asked[TIME]
        return is_asked and is_in_time and (is_known or not known_only)

    def age(row: Row) -> tuple[object, bool, object, object]:
        created = row[CREATED]
        return row[TIME], created is not None, created or START, row["value"]

    return max(filter(counts, rows), key=age, default={"value": None})["value"]


@settings(max_examples=400, deadline=None)
@given(st.lists(ROW, max_size=14), st.lists(ASKED, min_size=1, max_size=8), TTL, st.booleans())
def test_the_join_is_what_it_says(
    rows: list[Row], asked: list[Row], ttl: timedelta | None, known_only: bool
) -> None:
    numbered = [{**row, "value": number} for number, row in enumerate(rows)]
    table = pl.DataFrame(numbered, schema=SCHEMA)
    questions = pl.DataFrame(asked, schema={"key": pl.String, TIME: pl.Datetime("us")})
    answers = join(in_order(questions), timeline(table, ["key"], ttl, known_only=known_only))
    assert answers["value"].to_list() == [by_hand(a, numbered, ttl, known_only) for a in asked]
