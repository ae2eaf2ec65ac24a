"""Entity rows that cannot be joined: the error names the column and its view, at once."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore
from feast.errors import EntityTimestampInferenceException

from feast_plugins.entity_rows import EntityRowsError
from tests.feast_plugins.asof_repo import (
    MERCHANT,
    ROWS,
    USER,
    at,
    entities,
    feature_view,
    open_store,
    source,
    write_rows,
)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    rows = [{**row, "merchant_id": "x"} for row in ROWS]
    file = write_rows(tmp_path / "rows.parquet", rows)
    pairs = feature_view("pairs", source(file, name="pairs"), USER, MERCHANT)
    return open_store(tmp_path, feature_view("v", source(file)), pairs)


def in_each_kind(frame: pd.DataFrame, folder: Path) -> list[Any]:
    frame.to_parquet(folder / "entities.parquet")
    return [frame, pa.Table.from_pandas(frame), "SELECT * FROM read_parquet('entities.parquet')"]


def test_a_missing_key(store: FeatureStore, tmp_path: Path) -> None:
    for rows in in_each_kind(entities(("a", 2)), tmp_path):
        with pytest.raises(EntityRowsError, match=r"pairs: .* no column merchant_id"):
            store.get_historical_features(rows, ["pairs:value"])


def test_no_moment(store: FeatureStore, tmp_path: Path) -> None:
    """Neither of two other columns is accepted in its place."""
    rows = entities(("a", 2)).rename(columns={"event_timestamp": "paid_at"})
    for frame in (rows.drop(columns="paid_at"), rows.assign(shipped_at=rows["paid_at"])):
        for entity_rows in in_each_kind(frame, tmp_path):
            with pytest.raises(EntityTimestampInferenceException, match="event_timestamp"):
                store.get_historical_features(entity_rows, ["v:value"])


@pytest.mark.parametrize("value", ["yesterday", 5, at(1).date()], ids=str)
def test_moments_that_are_none(store: FeatureStore, value: Any) -> None:
    table = pa.table({"user_id": ["a"], "event_timestamp": [value]})
    with pytest.raises(EntityRowsError, match="event_timestamp of the entity rows is"):
        store.get_historical_features(table, ["v:value"])


def test_text_that_is_no_time(store: FeatureStore) -> None:
    rows = entities(("a", 2), ("a", 3)).assign(event_timestamp=["2026-01-01", "yesterday"])
    with pytest.raises(EntityRowsError, match=r"event_timestamp of the entity rows: .*yesterday"):
        store.get_historical_features(rows, ["v:value"])


def test_keys_of_another_kind(store: FeatureStore, tmp_path: Path) -> None:
    for rows in in_each_kind(entities((1, 2)), tmp_path):
        with pytest.raises(EntityRowsError, match=r"v: user_id .* is int64, .*rows\.parquet"):
            store.get_historical_features(rows, ["v:value"])


def test_keys_of_several_kinds(store: FeatureStore) -> None:
    with pytest.raises(EntityRowsError, match="user_id of the entity rows"):
        store.get_historical_features(entities(("a", 2), (1, 2)), ["v:value"])


def test_a_column_called_like_a_feature(store: FeatureStore, tmp_path: Path) -> None:
    for rows in in_each_kind(entities(("a", 2), value=[7]), tmp_path):
        with pytest.raises(EntityRowsError, match=r"v: .* column value already"):
            store.get_historical_features(rows, ["v:value"])
        found = store.get_historical_features(rows, ["v:value"], full_feature_names=True)
        assert found.to_df()[["value", "v__value"]].to_numpy().tolist() == [[7, 1]]


@pytest.mark.parametrize(
    "query", ["SELECT nothing", "CREATE TABLE t (i INT)", "SELECT * FROM 'no.csv'"]
)
def test_a_query_that_gives_no_rows(store: FeatureStore, query: str) -> None:
    with pytest.raises(EntityRowsError, match="query"):
        store.get_historical_features(query, ["v:value"])


def test_entity_rows_of_another_kind(store: FeatureStore) -> None:
    with pytest.raises(EntityRowsError, match="cannot be a list"):
        store.get_historical_features([{"user_id": "a"}], ["v:value"])


def test_two_columns_of_one_name(store: FeatureStore) -> None:
    frame = pd.concat([entities(("a", 2)), entities(("b", 2))[["user_id"]]], axis=1)
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array([at(2)])]
    table = pa.Table.from_arrays(columns, ["user_id", "user_id", "event_timestamp"])
    for rows in (frame, table):
        with pytest.raises(EntityRowsError, match="more than one column user_id"):
            store.get_historical_features(rows, ["v:value"])


def test_a_column_whose_name_is_no_text(store: FeatureStore) -> None:
    with pytest.raises(EntityRowsError, match="called 7"):
        store.get_historical_features(
            entities(("a", 2)).assign(**{"n": 1}).rename(columns={"n": 7}), ["v:value"]
        )
