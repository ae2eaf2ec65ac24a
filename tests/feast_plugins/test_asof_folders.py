"""Folders whose files differ, as folders that grow for months do; offline and materialized."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from feast import Entity, FeatureStore, FeatureView, ValueType
from feast.types import Map, String

from feast_plugins.feature_source import SourceError
from tests.feast_plugins.asof_repo import (
    DUCKDB,
    OURS,
    ROWS,
    Row,
    at,
    entities,
    feature_view,
    online,
    open_store,
    source,
    values,
    write_rows,
)

SHOP = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
NAIVE = pa.timestamp("us")


def two_files(folder: Path, *types: dict[str, pa.DataType], rows: list[Row] = ROWS) -> None:
    """Write the first two rows to 1.parquet, and the others to 2.parquet."""
    write_rows(folder / "data" / "1.parquet", rows[:2], **types[0])
    write_rows(folder / "data" / "2.parquet", rows[2:], **types[1])


@pytest.mark.parametrize(
    "types",
    [
        ({"created": NAIVE}, {"event_timestamp": NAIVE}),
        ({"created": pa.timestamp("ns")}, {"created": pa.timestamp("s", "Asia/Tokyo")}),
        ({"value": pa.int32()}, {"value": pa.int64()}),
        ({"value": pa.float64()}, {"value": pa.uint8()}),
        ({"user_id": pa.dictionary(pa.int8(), pa.string())}, {"user_id": pa.large_string()}),
    ],
    ids=["zones", "units", "widths", "floats", "encodings"],
)
@pytest.mark.parametrize("pull_latest", [False, True])
def test_files_of_different_types(
    tmp_path: Path, types: tuple[dict[str, pa.DataType], ...], pull_latest: bool
) -> None:
    two_files(tmp_path, *types)
    store = open_store(tmp_path, feature_view("v", source("data")), pull_latest=pull_latest)
    assert values(store, entities(("a", 2), ("a", 3), ("b", 2))) == [1, 3, 20]
    store.materialize(at(0), at(9))
    assert online(store, "a", "b") == [3, 20]


def test_a_column_without_values_in_one_file(tmp_path: Path) -> None:
    """pandas writes it with Arrow's null type."""
    rows = [*ROWS[:2], {**ROWS[2], "value": None}]
    two_files(tmp_path, {}, {"value": pa.null()}, rows=rows)
    store = open_store(tmp_path, feature_view("v", source("data")), pull_latest=True)
    assert values(store, entities(("a", 2), ("b", 2))) == [1, None]
    store.materialize(at(0), at(9))
    assert online(store, "a", "b") == [3, None]


def test_a_created_time_that_one_file_has_only_nulls_for(tmp_path: Path) -> None:
    rows = [*ROWS[:2], {**ROWS[2], "created": None}]
    two_files(tmp_path, {}, {"created": pa.null()}, rows=rows)
    store = open_store(tmp_path, feature_view("v", source("data")))
    assert values(store, entities(("a", 2), ("b", 2))) == [1, 20]


def shops(folder: Path, *types: pa.DataType) -> FeatureStore:
    rows: list[Row] = [
        {"shop_id": shop, "event_timestamp": at(1), "created": at(1), "value": value}
        for value, shop in enumerate([1, 2, 2**40 if types[1] == pa.int64() else 3])
    ]
    two_files(folder, {"shop_id": types[0]}, {"shop_id": types[1]}, rows=rows)
    return open_store(folder, SHOP, feature_view("v", source("data"), SHOP))


@pytest.mark.parametrize("types", [(pa.int32(), pa.int64()), (pa.int64(), pa.int32())], ids=str)
def test_keys_are_promoted_as_arrow_does(tmp_path: Path, types: tuple[pa.DataType, ...]) -> None:
    """The first file's int32 is too small for a key of the second file."""
    store = shops(tmp_path, *types)
    last = 2**40 if types[1] == pa.int64() else 3
    rows = entities(("x", 2), ("x", 2), shop_id=[1, last])
    assert values(store, rows) == [0, 2]


LARGE = [2**53, 2**53 + 1]  # as floats they are one number


def large_keys(folder: Path, *others: Any) -> FeatureView:
    """Write LARGE keys as integers to one file, and others as floats to a second."""
    rows: list[Row] = [
        {"shop_id": shop, "event_timestamp": at(1), "created": at(1), "value": value}
        for value, shop in enumerate([*LARGE, *others])
    ]
    write_rows(folder / "data" / "1.parquet", rows[:2], shop_id=pa.int64())
    write_rows(folder / "data" / "2.parquet", rows[2:], shop_id=pa.float64())
    return feature_view("v", source("data"), SHOP)


@pytest.mark.parametrize("pull_latest", [False, True])
def test_integer_keys_stay_apart_where_a_file_has_them_as_floats(
    tmp_path: Path, pull_latest: bool
) -> None:
    view = large_keys(tmp_path, 1.0, float("nan"))
    store = open_store(tmp_path, SHOP, view, pull_latest=pull_latest)
    rows = entities(("x", 2), ("x", 2), ("x", 2), shop_id=[*LARGE, 1])
    assert values(store, rows) == [0, 1, 2]
    start = entities(("x", 2)).event_timestamp[0]
    every = store.get_historical_features(None, ["v:value"], end_date=start).to_df()
    assert dict(zip(every["shop_id"], every["value"], strict=True)) == {
        1: 2,
        **dict(zip(LARGE, [0, 1], strict=True)),
    }


def test_a_fraction_among_integer_keys_is_named(tmp_path: Path) -> None:
    store = open_store(tmp_path, SHOP, large_keys(tmp_path, 1.5))
    with pytest.raises(
        SourceError, match=r"v: .*2\.parquet .*1\.5 of shop_id has no place in int64"
    ):
        store.get_historical_features(entities(("x", 2), shop_id=[1]), ["v:value"])


def test_keys_that_arrow_cannot_promote(tmp_path: Path) -> None:
    two_files(tmp_path, {}, {})
    rows = [{**ROWS[0], "user_id": 1}]
    write_rows(tmp_path / "data" / "2.parquet", rows, user_id=pa.int64())
    store = open_store(tmp_path, feature_view("v", source("data")))
    both = r"v: user_id is string in .*1\.parquet, int64 in .*2\.parquet"
    with pytest.raises(SourceError, match=both):
        store.get_historical_features(entities(("a", 2)), ["v:value"])


@pytest.mark.parametrize("stored", [pa.struct([("y", pa.string())]), pa.null()], ids=str)
def test_structs_of_different_fields(tmp_path: Path, stored: pa.DataType) -> None:
    first = pa.struct([("x", pa.int32())])
    contents: list[Any] = [{"x": 1}, {"x": 3}, None if pa.types.is_null(stored) else {"y": "b"}]
    rows = [{**row, "value": content} for row, content in zip(ROWS, contents, strict=True)]
    two_files(tmp_path, {"value": first}, {"value": stored}, rows=rows)
    store = open_store(tmp_path, feature_view("v", source("data"), features={"value": Map}))
    found = values(store, entities(("a", 2), ("b", 2)))
    assert found == ([{"x": 1}, None] if pa.types.is_null(stored) else FILLED)


FILLED = [{"x": 1, "y": None}, {"x": None, "y": "b"}]


def test_forms_of_a_type_that_cannot_be_one(tmp_path: Path) -> None:
    structs = [{**row, "value": {"x": 1}} for row in ROWS]
    texts = [{**ROWS[2], "value": "{}"}]
    stored = pa.struct([("x", pa.int64())])
    write_rows(tmp_path / "data" / "1.parquet", structs, value=stored)
    write_rows(tmp_path / "data" / "2.parquet", texts, value=pa.string())
    store = open_store(tmp_path, feature_view("v", source("data"), features={"value": Map}))
    both = r"v: value is struct<x: int64> in .*1\.parquet, string in .*2\.parquet"
    with pytest.raises(SourceError, match=both):
        store.get_historical_features(entities(("a", 2)), ["v:value"])


NO_DATA = (".x", "_x", "_temporary/0/x.parquet", ".hidden/x.parquet", "a/_SUCCESS", "._x.parquet")


def test_files_that_are_no_data_are_left_out(tmp_path: Path) -> None:
    """As Spark, Hive and pyarrow do."""
    two_files(tmp_path, {}, {})
    for name in NO_DATA:
        other = tmp_path / "data" / name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("not Parquet")
    store = open_store(tmp_path, feature_view("v", source("data")), pull_latest=True)
    assert values(store, entities(("a", 2), ("b", 2))) == [1, 20]
    store.materialize(at(0), at(9))
    assert online(store, "a", "b") == [3, 20]


@pytest.mark.parametrize("name", ["part-0", "000000_0", "_day=1/x.parquet", "x.parquet/part-0"])
def test_files_that_are_data_whatever_their_names(tmp_path: Path, name: str) -> None:
    """Hive's files have no suffix, and a name with = is a partition."""
    write_rows(tmp_path / "data" / name, ROWS)
    store = open_store(tmp_path, feature_view("v", source("data")), pull_latest=True)
    assert values(store, entities(("a", 2), ("b", 2))) == [1, 20]


def test_a_pattern_stands_for_files_as_in_duckdb(tmp_path: Path) -> None:
    two_files(tmp_path, {}, {})
    (tmp_path / "data" / "notes.txt").write_text("not Parquet")
    store = open_store(tmp_path, feature_view("v", source("data/*.parquet")), pull_latest=True)
    assert values(store, entities(("a", 2), ("b", 2))) == [1, 20]
    store.materialize(at(0), at(9))
    assert online(store, "a", "b") == [3, 20]


def test_nanoseconds_are_cut_to_the_microsecond_as_in_duckdb(tmp_path: Path) -> None:
    """A row counts up to 999 ns early; of rows in one microsecond the one created last wins."""
    start = 1_767_225_600_000_000_000  # 2026-01-01
    rows = [
        {"user_id": "a", "event_timestamp": start + 1, "created": start + 2_000, "value": "first"},
        {"user_id": "a", "event_timestamp": start + 2, "created": start + 1_000, "value": "second"},
    ]
    nanoseconds = pa.timestamp("ns", "UTC")
    types = {"event_timestamp": nanoseconds, "created": nanoseconds, "value": pa.string()}
    file = write_rows(tmp_path / "rows.parquet", rows, **types)
    view = feature_view("v", source(file), features={"value": String})
    for offline in (DUCKDB, OURS):
        store = open_store(tmp_path, view, offline=offline)
        moments = entities(("a", 0), ("a", -1 / 3_600_000_000))
        found = store.get_historical_features(moments, ["v:value"]).to_df()
        found = found.sort_values("event_timestamp", ascending=False)["value"]
        assert found.where(found.notna(), None).tolist() == ["first", None]


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "event_timestamp": at(0).date(), "created": at(24).date()}]
    dates = {"event_timestamp": pa.date32(), "created": pa.date32()}
    file = write_rows(tmp_path / "rows.parquet", rows, **dates)
    store = open_store(tmp_path, feature_view("v", source(file)))
    assert values(store, entities(("a", 0), ("a", -1))) == [1, None]
    known = entities(("a", 23), ("a", 24))
    assert values(store, known, filter_by_created_timestamp=True) == [None, 1]
    store.materialize(at(0), at(1))
    assert online(store, "a") == [1]
