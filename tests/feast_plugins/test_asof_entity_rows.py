"""Entity rows of every kind, joined by the as-of store: the values, and their order."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, ValueType

from feast_plugins.entity_rows import EntityRowsError
from feast_plugins.feature_source import SourceError
from tests.feast_plugins.asof_repo import (
    DUCKDB,
    MICROSECONDS,
    OURS,
    ROWS,
    at,
    entities,
    feature_view,
    open_store,
    source,
    values,
    write_rows,
)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    return open_store(tmp_path, feature_view("v", source(file)), rows_per_chunk=2)


def test_the_users_own_columns_are_not_touched(store: FeatureStore) -> None:
    """Not even those that Arrow could not hold; the index is reset, as by Feast's own stores."""
    rows = entities(
        ("a", 2), ("b", 2), ("a", 9), basket=[{1, 2}, "mixed", 3], n=pd.array([1, None, 3])
    )
    rows.index = pd.Index([7, 7, 9])
    before = rows.copy()
    answer = store.get_historical_features(rows, ["v:value"]).to_df()
    own = answer.drop(columns="value")
    pd.testing.assert_frame_equal(own, rows.reset_index(drop=True))
    pd.testing.assert_frame_equal(rows, before)
    assert answer["value"].tolist() == [1, 20, 3]


def test_a_column_that_is_null_for_a_whole_chunk(store: FeatureStore, tmp_path: Path) -> None:
    rows = entities(("a", 2), ("b", 2), ("a", 9), note=[None, None, "z"])
    table = store.get_historical_features(rows, ["v:value"]).to_arrow()
    assert table["note"].to_pylist() == [None, None, "z"]
    assert table["value"].to_pylist() == [1, 20, 3]


@pytest.mark.parametrize(
    "times",
    [
        [at(1), at(3)],
        [at(1).replace(tzinfo=None), at(3).replace(tzinfo=None)],
        ["2026-01-01 01:00:00", "2026-01-01 03:00:00"],
        ["2026-01-01T02:00:00+01:00", "2026-01-01T04:00:00+01:00"],
        pd.to_datetime([at(1), at(3)]).tz_convert("America/New_York"),
        pd.to_datetime([at(1), at(3)]).astype("datetime64[ms, UTC]"),
    ],
    ids=["python", "no zone", "text", "text with zone", "another zone", "milliseconds"],
)
def test_moments_in_pandas(store: FeatureStore, times: Any) -> None:
    """No zone is UTC, as in Feast."""
    rows = pd.DataFrame({"user_id": ["a", "a"], "event_timestamp": times})
    assert values(store, rows) == [1, 3]


@pytest.mark.parametrize("stored", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", None, "Asia/Tokyo"])
def test_moments_in_arrow(store: FeatureStore, stored: str, zone: str | None) -> None:
    times = pa.array([at(1), at(3)], MICROSECONDS).cast(pa.timestamp(stored, zone))
    rows = pa.table({"user_id": ["a", "a"], "event_timestamp": times})
    assert values(store, rows) == [1, 3]
    metadata = store.get_historical_features(rows, ["v:value"]).metadata
    assert (metadata.min_event_timestamp, metadata.max_event_timestamp) == (at(1), at(3))


def test_no_rows_give_the_columns(store: FeatureStore) -> None:
    none = entities(("a", 2)).iloc[:0]
    for rows in (none, pa.Table.from_pandas(none), "SELECT 'a' user_id, now() t WHERE false"):
        job = store.get_historical_features(rows, ["v:value"])
        assert job.to_arrow().schema.field("value").type == pa.int64()
        assert job.to_df()["value"].dtype == "int64"


def test_the_only_column_of_times_is_the_moment(store: FeatureStore) -> None:
    rows = entities(("a", 2)).rename(columns={"event_timestamp": "paid_at"})
    query = "SELECT 'a' AS user_id, TIMESTAMP '2026-01-01 02:00:00' AS paid_at"
    for frame in (rows, pa.Table.from_pandas(rows), query):
        job = store.get_historical_features(frame, ["v:value"])
        assert job.to_arrow()["value"].to_pylist() == [1]
        assert job.metadata.keys == ["user_id"]
        assert job.metadata.min_event_timestamp == at(2)


DAYS = [date(2026, 1, 1), date(2026, 1, 2)]
MIDNIGHTS = pd.DatetimeIndex(DAYS)
KEYS: dict[str, tuple[pa.Array, Any]] = {
    "bool": (pa.array([True, False]), [True, False]),
    "nullable bool": (pa.array([True, False]), pd.array([True, False], "boolean")),
    "bytes": (pa.array([b"1", b"2"]), [b"1", b"2"]),
    "date": (pa.array(DAYS), DAYS),
    "date, requested as a time": (pa.array(DAYS), MIDNIGHTS),
    "time, requested as a date": (pa.array(MIDNIGHTS), DAYS),
    "time": (pa.array(MIDNIGHTS, pa.timestamp("us")), MIDNIGHTS.tz_localize("UTC")),
    "decimal": (pa.array([Decimal("1.0"), Decimal("2.5")]), [1.0, 2.5]),
    "float": (pa.array([1.0, 2.5]), [1.0, 2.5]),
    "int, requested as a decimal": (pa.array([1, 2]), [Decimal("1"), Decimal("2.0")]),
    "unsigned": (pa.array([1, 2], pa.uint64()), pd.array([1, 2], "uint8")),
    "category": (pa.array(["x", "y"]).dictionary_encode(), pd.Categorical(["x", "y"])),
    "nullable int": (pa.array([1, 2], pa.int32()), pd.array([1, 2], "Int64")),
    "pyarrow text": (pa.array(["x", "y"]), pd.array(["x", "y"], "string[pyarrow]")),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_every_type(tmp_path: Path, name: str) -> None:
    stored, given = KEYS[name]
    times = pa.array([at(1)] * 2, MICROSECONDS)
    rows = pa.table({"k": stored, "event_timestamp": times, "value": [10, 20]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    key = Entity(name="k", join_keys=["k"], value_type=ValueType.STRING)
    view = feature_view("v", source(tmp_path / "rows.parquet", created=""), key)
    frame = pd.DataFrame({"k": given, "event_timestamp": [at(2)] * 2, "row": [0, 1]})
    for offline in (DUCKDB, OURS):
        answer = open_store(tmp_path, key, view, offline=offline)
        found = answer.get_historical_features(frame.copy(), ["v:value"]).to_df()
        assert found.sort_values("row")["value"].tolist() == [10, 20]


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        (pa.array(["1"]), [1]),
        (pa.array([1]), ["1"]),
        (pa.array([1]), [True]),
        (pa.array(["1"]), [UUID(int=1)]),
        (pa.array([1]), [[1]]),
        (pa.array([1]), pd.period_range("2026", periods=1)),
        (pa.array([[1]]), [[1]]),
    ],
    ids=["int", "text", "bool", "uuid", "list", "period", "stored list"],
)
def test_keys_that_cannot_be_equal_are_refused(
    tmp_path: Path, stored: pa.Array, given: Any
) -> None:
    """One sentence names the column; duckdb's store rejects them, too."""
    times = pa.array([at(1)], MICROSECONDS)
    table = pa.table({"k": stored, "event_timestamp": times, "value": [10]})
    pq.write_table(table, tmp_path / "rows.parquet")
    key = Entity(name="k", join_keys=["k"], value_type=ValueType.STRING)
    view = feature_view("v", source(tmp_path / "rows.parquet", created=""), key)
    store = open_store(tmp_path, key, view)
    frame = pd.DataFrame({"k": given, "event_timestamp": [at(2)]})
    with pytest.raises((EntityRowsError, SourceError), match=r"k (of the entity rows|is list)"):
        store.get_historical_features(frame, ["v:value"])


@pytest.mark.parametrize(
    ("shops", "found"),
    [([2, 1, 9], [2, 1, None]), ([2.0, 1.5, None, float("nan"), 1e300], [2, *[None] * 4])],
    ids=["whole numbers", "floats"],
)
def test_a_number_is_a_key_if_the_source_can_hold_it(
    shops: list[Any], found: list[int | None], tmp_path: Path
) -> None:
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
    rows = [{"shop_id": n, "event_timestamp": at(0), "created": at(0), "value": n} for n in (1, 2)]
    view = feature_view("v", source(write_rows(tmp_path / "shops.parquet", rows)), shop)
    store = open_store(tmp_path, shop, view)
    entity_rows = pd.DataFrame({"shop_id": shops, "event_timestamp": [at(1)] * len(shops)})
    assert values(store, entity_rows) == found
