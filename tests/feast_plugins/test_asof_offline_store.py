"""The as-of store through Feast: its sources, declared types, on-demand views."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureView, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import (
    Float32,
    Float64,
    Int64,
)

from tests.feast_plugins.asof_repo import (
    DAY,
    HOUR,
    MICROSECONDS,
    ROWS,
    USER,
    entities,
    feature_view,
    open_store,
    source,
    values,
    write_rows,
)


def test_paths_begin_at_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the process runs: of sources, and in queries."""
    write_rows(tmp_path / "data" / "rows.parquet", ROWS)
    entities(("a", 2), ("b", 9)).to_parquet(tmp_path / "data" / "entities.parquet")
    store = open_store(tmp_path, feature_view("v", source("data/rows.parquet")))
    monkeypatch.chdir("/")
    assert values(store, "SELECT * FROM read_parquet('data/entities.parquet')") == [1, 20]


def test_columns_of_other_names(tmp_path: Path) -> None:
    names = {"user_id": "uid", "event_timestamp": "ts", "created": "written", "value": "val"}
    types = {"uid": pa.string(), "ts": MICROSECONDS, "written": MICROSECONDS, "val": pa.int64()}
    rows = [{names[name]: value for name, value in row.items()} for row in ROWS]
    file = write_rows(tmp_path / "rows.parquet", rows, **types)
    mapping = {old: new for new, old in names.items()}
    store = open_store(tmp_path, feature_view("v", source(file, field_mapping=mapping)))
    assert values(store, entities(("a", 2), ("b", 9)), filter_by_created_timestamp=True) == [1, 20]


def test_a_view_without_entities(tmp_path: Path) -> None:
    file = write_rows(
        tmp_path / "rows.parquet", [{k: r[k] for k in r if k != "user_id"} for r in ROWS]
    )
    of, fields = source(file), [Field(name="value", dtype=Int64)]
    view = FeatureView(name="v", entities=[], schema=fields, source=of, ttl=DAY)
    store = open_store(tmp_path, view)
    for known_only in (False, True):
        found = values(
            store, entities(("a", 0), ("b", 2), ("z", 9)), filter_by_created_timestamp=known_only
        )
        assert found == [None, 20, 3]


def test_features_come_in_the_requested_order(tmp_path: Path) -> None:
    rows = [{**row, "ratio": row["value"] / 2} for row in ROWS]
    file = write_rows(tmp_path / "rows.parquet", rows)
    features = {"value": Int64, "ratio": Float32}
    store = open_store(tmp_path, feature_view("v", source(file), features=features))
    answer = store.get_historical_features(entities(("a", 2)), ["v:ratio", "v:value"]).to_df()
    assert list(answer.columns) == ["user_id", "event_timestamp", "ratio", "value"]


def totals_in_pandas(inputs: pd.DataFrame) -> pd.DataFrame:
    return (inputs["value"] + inputs["amount"]).to_frame("total")


def totals_in_python(inputs: dict[str, Any]) -> dict[str, Any]:
    pairs = zip(inputs["value"], inputs["amount"], strict=True)
    return {"total": [float(value + amount) for value, amount in pairs]}


def totals_in_full(inputs: pd.DataFrame) -> pd.DataFrame:
    return (inputs["v__value"] + inputs["amount"]).to_frame("total")


@pytest.mark.parametrize(
    ("mode", "totals"),
    [("pandas", totals_in_pandas), ("python", totals_in_python), ("pandas", totals_in_full)],
)
def test_on_demand_views_on_top(tmp_path: Path, mode: str, totals: Callable[..., Any]) -> None:
    """On-demand views get the features of all chunks, also of those that only they read."""
    view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", ROWS)))
    request = RequestSource(name="request", schema=[Field(name="amount", dtype=Float64)])
    schema = [Field(name="total", dtype=Float64)]
    on_demand = on_demand_feature_view(sources=[view, request], schema=schema, mode=mode)(totals)
    store = open_store(tmp_path, view, on_demand, rows_per_chunk=2)
    rows = entities(("a", 2), ("b", 9), ("a", 9), amount=[0.5, 0.25, 0.125])
    for frame in (rows, pa.Table.from_pandas(rows)):
        in_full = totals is totals_in_full
        features = [f"{totals.__name__}:total"]
        answer = store.get_historical_features(frame, features, full_feature_names=in_full).to_df()
        name = "totals_in_full__total" if in_full else "total"
        assert answer[name].tolist() == [1.5, 20.25, 3.125]


def test_a_service_of_two_views_with_their_own_ttls(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    views = [
        feature_view(name, source(file, name=name), USER, ttl=ttl)
        for name, ttl in (("v", HOUR), ("w", timedelta(0)))
    ]
    store = open_store(tmp_path, *views)
    answer = store.get_historical_features(
        entities(("a", 1), ("a", 2.5)), ["v:value", "w:value"], full_feature_names=True
    ).to_arrow()
    assert answer["v__value"].to_pylist() == [1, None]
    assert answer["w__value"].to_pylist() == [1, 1]
