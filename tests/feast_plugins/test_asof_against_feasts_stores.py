"""The as-of store compared with Feast's duckdb and file (dask) stores, on the same rows.

A test of a difference is a row of the tables in docs/plugins/asof_offline_store.md.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureStore, FeatureView, Field
from feast.types import Float32, Int32, Int64

from tests.feast_plugins.asof_repo import (
    DUCKDB,
    FILE,
    MERCHANT,
    OURS,
    ROWS,
    USER,
    Row,
    at,
    entities,
    feature_view,
    online,
    open_store,
    source,
    write_rows,
)

each_store = pytest.mark.parametrize("offline", [DUCKDB, FILE])
IN_SQL = "SELECT 'a' AS user_id, TIMESTAMP '2026-01-01 02:00:00' AS event_timestamp"
IN_ARROW = pa.Table.from_pandas(entities(("a", 2)))
AS_TEXT = entities(("a", 2)).assign(event_timestamp="2026-01-01 02:00:00")


def both(folder: Path, offline: str, rows: list[Row] = ROWS, **types: Any) -> list[FeatureStore]:
    """Open Feast's store and ours on one view of the rows."""
    file = write_rows(folder / "rows.parquet", [{"ratio": 0.1, **row} for row in rows], **types)
    view = feature_view("v", source(file), features={"value": Int32, "ratio": Float32})
    return [open_store(folder, view, offline=name) for name in (offline, OURS)]


def frame(store: FeatureStore, rows: Any, *features: str) -> pd.DataFrame:
    return store.get_historical_features(rows, list(features or ["v:value"])).to_df()


@pytest.mark.parametrize(
    ("rows", "theirs", "ours"),
    [
        ([("a", 2), ("a", 2), ("b", 9)], {1: 1, 2: 20}, {0: 1, 1: 1, 2: 20}),
        ([("a", 2), ("b", 1000)], {0: 1}, {0: 1, 1: None}),
        ([("a", 2), ("b", 0)], {0: 1}, {0: 1, 1: None}),
        ([("a", 2), ("b", None)], {0: 1}, {0: 1, 1: None}),
        ([("a", 2), (None, 9)], {0: 1, 1: 1}, {0: 1, 1: None}),
    ],
    ids=["equal key and moment", "older than the TTL", "before the first row", "no moment", "null"],
)
def test_entity_rows_that_the_file_store_loses_or_joins_to_a_null_key(
    rows: list[tuple[Any, Any]], theirs: dict[int, int], ours: dict[int, Any], tmp_path: Path
) -> None:
    table = [*ROWS, {**ROWS[0], "user_id": None}]
    answers = []
    for store in both(tmp_path, FILE, table):
        found = frame(store, entities(*rows, row=range(len(rows))))
        values = found["value"].astype(object).where(found["value"].notna(), None)
        answers.append(dict(zip(found["row"], values, strict=True)))
    assert answers == [theirs, ours]


def test_the_file_store_orders_rows_by_the_features_event_time(tmp_path: Path) -> None:
    rows = entities(("b", 9), ("a", 2))
    theirs, ours = (frame(store, rows)["value"].tolist() for store in both(tmp_path, FILE))
    assert (theirs, ours) == ([1, 20], [20, 1])


def test_duckdb_mixes_the_rows(tmp_path: Path) -> None:
    """Rows without features come last, or first, or elsewhere."""
    rows = entities(*((user, 9) for user in ["a", "nobody", "b"] * 2000), row=range(6000))
    theirs, ours = (frame(store, rows)["row"].tolist() for store in both(tmp_path, DUCKDB))
    assert theirs != list(range(6000)) == ours


@each_store
def test_feasts_stores_return_the_values_of_the_file(offline: str, tmp_path: Path) -> None:
    """A float32 that was stored as float64 is another number online than offline."""
    theirs, ours = (
        frame(store, entities(("a", 2)), "v:value", "v:ratio")[["value", "ratio"]]
        for store in both(tmp_path, offline)
    )
    assert theirs.dtypes.tolist() == ours.dtypes.tolist() == ["int64", "float64"]
    assert (theirs["ratio"].item(), ours["ratio"].item()) == (0.1, float(np.float32(0.1)))


@pytest.mark.parametrize(
    ("offline", "rows"),
    [(DUCKDB, IN_SQL), (DUCKDB, IN_ARROW), (FILE, IN_SQL), (FILE, IN_ARROW), (FILE, AS_TEXT)],
    ids=["duckdb, SQL", "duckdb, Arrow", "file, SQL", "file, Arrow", "file, text"],
)
def test_feasts_stores_take_pandas_frames_only(offline: str, rows: Any, tmp_path: Path) -> None:
    theirs, ours = both(tmp_path, offline)
    with pytest.raises((ValueError, AttributeError)):
        frame(theirs, rows)
    assert frame(ours, rows)["value"].tolist() == [1]


def test_the_file_store_renames_a_feature_called_like_an_entity_column(tmp_path: Path) -> None:
    theirs, ours = both(tmp_path, FILE)
    rows = entities(("a", 2), value=[7])
    assert frame(theirs, rows)[["value", "value__"]].to_numpy().tolist() == [[7, 1]]
    with pytest.raises(ValueError, match="a column value already"):
        frame(ours, rows)


def test_duckdb_reads_paths_from_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "rows.parquet", ROWS)
    view = feature_view("v", source("rows.parquet"))
    theirs, ours = (open_store(tmp_path, view, offline=offline) for offline in (DUCKDB, OURS))
    monkeypatch.chdir("/")
    with pytest.raises(Exception, match="No files found"):
        frame(theirs, entities(("a", 2)))
    assert frame(ours, entities(("a", 2)))["value"].tolist() == [1]


@pytest.mark.parametrize("zoned", ["event_timestamp", "created"])
def test_a_time_without_a_zone_is_utc_next_to_one_that_has_one(tmp_path: Path, zoned: str) -> None:
    """As in Feast's sample data."""
    rows = [*ROWS, {**ROWS[0], "created": at(1.5), "value": 2}]
    types = {"event_timestamp": pa.timestamp("us"), "created": pa.timestamp("us")}
    types[zoned] = pa.timestamp("us", "Asia/Tokyo")
    for store in both(tmp_path, DUCKDB, rows, **types):
        assert frame(store, entities(("a", 2), ("b", 2)))["value"].tolist() == [2, 20]
        store.materialize(at(0), at(2))
        assert online(store, "a", "b") == [2, 20]


def test_duckdb_cannot_materialize_a_view_without_entities(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    fields = [Field(name="value", dtype=Int64)]
    view = FeatureView(name="v", schema=fields, source=source(file), ttl=timedelta(days=1))
    theirs, ours = (
        open_store(tmp_path, view, offline=offline, pull_latest=True) for offline in (DUCKDB, OURS)
    )
    with pytest.raises(ValueError, match="__dummy_id"):
        theirs.materialize(at(0), at(9))
    ours.materialize(at(0), at(9))
    assert ours.get_online_features(["v:value"], [{"__dummy_id": ""}]).to_dict()["value"] == [3]


def test_duckdb_needs_entity_rows(tmp_path: Path) -> None:
    theirs, ours = both(tmp_path, DUCKDB)
    with pytest.raises((TypeError, AttributeError)):
        theirs.get_historical_features(features=["v:value"], end_date=at(2))
    found = ours.get_historical_features(features=["v:value"], end_date=at(2)).to_df()
    assert found["value"].tolist() == [1, 20]


def test_duckdb_joins_by_a_mapped_key_alone(tmp_path: Path) -> None:
    rows = [{**row, "merchant_id": "m"} for row in ROWS]
    view = feature_view("v", source(write_rows(tmp_path / "r.parquet", rows)), USER, MERCHANT)
    service = FeatureService(name="s", features=[view.with_join_key_map({"merchant_id": "shop"})])
    requested = entities(("a", 9), ("nobody", 9), shop=["m", "m"])
    found = []
    for offline in (DUCKDB, OURS):
        store = open_store(tmp_path, view, service, offline=offline)
        joined = store.get_historical_features(requested, service).to_df()
        found.append(joined.set_index("user_id")["value"].get("nobody"))
    assert found[0] in (3, 20)
    assert pd.isna(found[1])
