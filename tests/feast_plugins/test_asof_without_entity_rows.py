"""Retrieval by dates alone, compared with Feast's file (dask) store."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, ValueType
from feast.types import Int64

from feast_plugins.entity_rows import EntityRowsError
from tests.feast_plugins.asof_repo import (
    DAY,
    FILE,
    MERCHANT,
    OURS,
    ROWS,
    Row,
    at,
    feature_view,
    open_store,
    source,
    write_rows,
)

TABLE: list[Row] = [
    *ROWS,
    {"user_id": "before", "event_timestamp": at(-30), "created": at(-30), "value": 7},
    {"user_id": "expired", "event_timestamp": at(-300), "created": at(-300), "value": 8},
    {"user_id": "later", "event_timestamp": at(30), "created": at(30), "value": 9},
    {"user_id": "a", "event_timestamp": at(30), "created": at(30), "value": 10},
    {"user_id": "b", "event_timestamp": at(3), "created": at(20), "value": 21},
]
DATES = {"start_date": at(0), "end_date": at(9)}


def stores(folder: Path) -> list[FeatureStore]:
    """Open dask's store and ours on a view of TABLE, one more by user, and one of two keys."""
    file = write_rows(folder / "v.parquet", TABLE)
    others = [{**row, "value": -row["value"]} for row in TABLE[:3]]
    others += [{**others[0], "user_id": "only_w"}]
    w = source(write_rows(folder / "w.parquet", others), name="w")
    pairs = [{**row, "merchant_id": "x"} for row in TABLE]
    p = source(write_rows(folder / "p.parquet", pairs), name="p")
    views = [feature_view("v", source(file)), feature_view("w", w), feature_view("p", p, MERCHANT)]
    return [open_store(folder, *views, offline=name) for name in (FILE, OURS)]


def by_user(store: FeatureStore, **options: Any) -> pd.DataFrame:
    answer = store.get_historical_features(features=["v:value"], **options).to_df()
    return answer.sort_values("user_id", ignore_index=True)


@pytest.mark.parametrize(
    "options",
    [
        DATES,
        {"end_date": at(9)},
        {"end_date": at(9).replace(tzinfo=None)},
        {"end_date": at(40)},
        {"start_date": at(0)},
        {**DATES, "filter_by_created_timestamp": True},
    ],
    ids=["both dates", "end", "no zone", "later", "until now", "known"],
)
def test_the_newest_features_at_the_end_date(tmp_path: Path, options: dict[str, Any]) -> None:
    """A row for each entity that has features then; the start date leaves nothing out."""
    theirs, ours = (by_user(store, **options) for store in stores(tmp_path))
    if "filter_by_created_timestamp" in options:  # dask keeps nulls as entities, and as floats
        theirs = theirs.dropna()
    assert list(ours.columns) == ["user_id", "event_timestamp", "value"]
    assert ours.to_dict("list") == theirs[list(ours.columns)].to_dict("list")


def test_the_dates_are_the_metadata(tmp_path: Path) -> None:
    jobs = [s.get_historical_features(features=["v:value"], **DATES) for s in stores(tmp_path)]
    theirs, ours = (job.metadata for job in jobs)
    assert vars(ours) == vars(theirs)
    (_, store) = stores(tmp_path)
    undated = store.get_historical_features(features=["v:value"], end_date=at(9)).metadata
    assert undated.min_event_timestamp == at(9) - 10 * DAY


def test_several_views_of_one_key(tmp_path: Path) -> None:
    """Every entity that any of them has; dask joins each row with one of another entity."""
    (_, store) = stores(tmp_path)
    job = store.get_historical_features(
        features=["v:value", "w:value"], full_feature_names=True, **DATES
    )
    found = job.to_arrow().drop(["event_timestamp"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("a", 3, -3),
        ("b", 21, -20),
        ("before", 7, None),
        ("only_w", None, -1),
    ]


def test_views_of_different_keys_have_no_common_entities(tmp_path: Path) -> None:
    (_, store) = stores(tmp_path)
    with pytest.raises(EntityRowsError, match="same keys, not merchant_id and user_id"):
        store.get_historical_features(
            features=["v:value", "p:value"], full_feature_names=True, **DATES
        )


def shops(folder: Path, **keys: list[Any]) -> FeatureStore:
    """Open a store on a view by shop for each name and list of keys."""
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
    views = []
    for name, of in keys.items():
        rows: list[Row] = [
            {"shop_id": key, "event_timestamp": at(1), "created": at(1), "value": value}
            for value, key in enumerate(of)
        ]
        file = write_rows(folder / f"{name}.parquet", rows)
        views.append(feature_view(name, source(file, name=name), shop))
    return open_store(folder, shop, *views)


def of_both(store: FeatureStore) -> list[tuple[Any, ...]]:
    references = ["v:value", "w:value"]
    job = store.get_historical_features(features=references, full_feature_names=True, **DATES)
    return [tuple(row.values()) for row in job.to_arrow().drop(["event_timestamp"]).to_pylist()]


def test_integer_keys_of_one_view_and_floats_of_another(tmp_path: Path) -> None:
    store = shops(tmp_path, v=[2**53, 2**53 + 1], w=[1.0, float(2**53)])
    assert of_both(store) == [(1, None, 0), (2**53, 0, 1), (2**53 + 1, 1, None)]


@pytest.mark.parametrize(
    ("keys", "message"),
    [("1", r"shop_id is int64 in v, (large_)?string in w"), (1.5, "1.5 of shop_id in w")],
)
def test_keys_of_other_kinds_have_no_common_entities(
    tmp_path: Path, keys: Any, message: str
) -> None:
    with pytest.raises(EntityRowsError, match=message):
        of_both(shops(tmp_path, v=[1, 2], w=[keys]))


def test_a_view_without_entities(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    view = FeatureView(
        name="v",
        schema=[Field(name="value", dtype=Int64)],
        source=source(file),
        ttl=timedelta(days=1),
    )
    store = open_store(tmp_path, view)
    table = store.get_historical_features(features=["v:value"], **DATES).to_arrow()
    assert table.to_pylist() == [{"event_timestamp": at(9), "value": 3}]


def test_nobody_has_features(tmp_path: Path) -> None:
    (_, store) = stores(tmp_path)
    long_ago = datetime(1990, 1, 1)
    answer = store.get_historical_features(features=["v:value"], end_date=long_ago).to_df()
    assert (len(answer), list(answer.columns)) == (0, ["user_id", "event_timestamp", "value"])
