"""Entity rows of every kind, joined by the as-of store: what comes back, and in what order."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureStore, ValueType

from tests.feast_plugins.asof_repo import (
    MICROSECONDS,
    ROWS,
    asked,
    at,
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
    rows = asked(
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
    rows = asked(("a", 2), ("b", 2), ("a", 9), note=[None, None, "z"])
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
    """No zone is UTC, as Feast has it."""
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
    none = asked(("a", 2)).iloc[:0]
    for rows in (none, pa.Table.from_pandas(none), "SELECT 'a' user_id, now() t WHERE false"):
        job = store.get_historical_features(rows, ["v:value"])
        assert job.to_arrow().schema.field("value").type == pa.int64()
        assert job.to_df()["value"].dtype == "int64"


def test_the_only_column_of_times_is_the_moment(store: FeatureStore) -> None:
    rows = asked(("a", 2)).rename(columns={"event_timestamp": "paid_at"})
    query = "SELECT 'a' AS user_id, TIMESTAMP '2026-01-01 02:00:00' AS paid_at"
    for frame in (rows, pa.Table.from_pandas(rows), query):
        job = store.get_historical_features(frame, ["v:value"])
        assert job.to_arrow()["value"].to_pylist() == [1]
        assert job.metadata.keys == ["user_id"]
        assert job.metadata.min_event_timestamp == at(2)


def test_keys_may_be_categories(store: FeatureStore) -> None:
    rows = asked(("a", 2), ("b", 9)).astype({"user_id": "category"})
    answer = store.get_historical_features(rows, ["v:value"]).to_df()
    assert answer["user_id"].dtype == "category"
    assert answer["value"].tolist() == [1, 20]


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
