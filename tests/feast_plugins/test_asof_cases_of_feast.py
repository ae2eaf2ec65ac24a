"""What Feast tests of its own offline stores, asked of the as-of store in the same situations."""

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from feast import Entity, FeatureStore, Field, RequestSource, ValueType
from feast.errors import FeatureNameCollisionError, RequestDataNotFoundInEntityDfException
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, Int64

from tests.feast_plugins.asof_by_hand import by_hand
from tests.feast_plugins.asof_repo import (
    DAY,
    HOUR,
    START,
    Row,
    asked,
    at,
    feature_view,
    open_store,
    source,
    values,
    write_rows,
)


def a_store(folder: Path, rows: list[Row], **view: Any) -> FeatureStore:
    file = write_rows(folder / "rows.parquet", rows)
    return open_store(folder, feature_view("v", source(file), **view))


def row(user: str, happened: float, value: int, created: float | None) -> Row:
    known = None if created is None else at(created)
    return {"user_id": user, "event_timestamp": at(happened), "created": known, "value": value}


def test_point_in_time_join(tmp_path: Path) -> None:
    """Of two customers: the last before, the one at the moment, and none within the TTL."""
    days = [("1", -1, 11), ("1", 1, 22), ("1", 2, 33), ("2", -363, 22)]
    store = a_store(tmp_path, [row(user, 24 * day, value, 24 * day) for user, day, value in days])
    assert values(store, asked(("1", 0), ("1", 24), ("2", 0))) == [11, 22, None]


@pytest.mark.parametrize(
    ("rows", "true", "known"),
    [
        ([row("a", 10, 4, 12), row("a", 10, 6, 48)], 6, 4),
        ([row("a", 10, 4, 12), row("a", 10, 6, None)], 4, 4),
        ([row("a", 10, 4, 48), row("a", 11, 6, 72)], 6, None),
        ([row("b", 10, 4, 12), row("a", 10, 6, 48)], 6, None),
        ([row("a", 10, 4, 24), row("a", 11, 6, 25)], 6, 4),
    ],
    ids=["corrected later", "when unknown", "all too new", "of another", "at the moment itself"],
)
def test_created_timestamp_filter(
    tmp_path: Path, rows: list[Row], true: int, known: int | None
) -> None:
    store = a_store(tmp_path, rows)
    day_after = asked(("a", 24))
    assert values(store, day_after) == [true]
    assert values(store, day_after, filter_by_created_timestamp=True) == [known]


def test_a_view_without_created_is_not_filtered(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [row("a", 1, 4, 48)])
    store = open_store(tmp_path, feature_view("v", source(file, created="")))
    assert values(store, asked(("a", 24)), filter_by_created_timestamp=True) == [4]


def test_corrections_win_ties(tmp_path: Path) -> None:
    """Of a hundred drivers each, so that an unstable sort would show."""
    drivers = [str(number) for number in range(100)]
    firsts = [row(d, n % 10 / 60, 0, n % 10 / 60) for n, d in enumerate(drivers)]
    corrections = [{**r, "created": r["created"] + HOUR, "value": 1} for r in firsts]
    mixed = Random(0).sample(firsts + corrections, 200)
    store = a_store(tmp_path, mixed)
    assert values(store, asked(*((d, 14) for d in drivers))) == [1] * 100
    store.materialize(START - DAY, START + DAY)
    rows = [{"user_id": driver} for driver in drivers]
    assert store.get_online_features(["v:value"], rows).to_dict()["value"] == [1] * 100


def test_a_backfill_fills_a_hole(tmp_path: Path) -> None:
    """Rows of old days written today count by the day they describe."""
    day = [row("a", 24 * n, n, 24 * n if n != 2 else 240) for n in range(4)]
    store = a_store(tmp_path, day)
    moments = asked(*(("a", 24 * n + 1) for n in range(4)))
    assert values(store, moments) == [0, 1, 2, 3]
    assert values(store, moments, filter_by_created_timestamp=True) == [0, 1, 1, 3]


def test_no_ttl_is_for_ever(tmp_path: Path) -> None:
    store = a_store(tmp_path, [row("a", 0, 1, 0)], ttl=timedelta(0))
    assert values(store, asked(("a", 24 * 365 * 20), ("a", -1))) == [1, None]


@pytest.mark.parametrize("in_full", [False, True], ids=["short", "full"])
def test_orders_of_customers_and_drivers(tmp_path: Path, in_full: bool) -> None:
    """Two views of two entities, and an on-demand view, joined to orders; against by hand."""
    random = Random(7)
    driver, customer = (Entity(name=n, value_type=ValueType.INT64) for n in ("driver", "customer"))
    views, tables = [], {}
    for entity, feature, kind in ((driver, "trips", Int64), (customer, "balance", Float32)):
        tables[entity.name] = [
            {
                entity.name: random.randint(1, 5),
                "event_timestamp": at(random.randint(0, 200)),
                "created": at(number),
                feature: number / 2 if kind == Float32 else number,
            }
            for number in range(200)
        ]
        file = write_rows(tmp_path / f"{entity.name}.parquet", tables[entity.name])
        options = {"features": {feature: kind}, "ttl": DAY}
        views.append(feature_view(f"{entity.name}_stats", source(file), entity, **options))
    amount = RequestSource(name="order", schema=[Field(name="amount", dtype=Float64)])
    rest = on_demand_feature_view(
        sources=[views[1], amount], schema=[Field(name="rest", dtype=Float64)], mode="pandas"
    )(rests_in_full if in_full else rests)
    store = open_store(tmp_path, driver, customer, *views, rest)
    orders: list[dict[str, Any]] = [
        {
            "driver": random.randint(1, 6),
            "customer": random.randint(1, 6),
            "event_timestamp": at(random.randint(0, 220)),
            "amount": float(number),
        }
        for number in range(300)
    ]
    references = ["driver_stats:trips", "customer_stats:balance", f"{rest.name}:rest"]
    answer = store.get_historical_features(pd.DataFrame(orders), references, in_full).to_df()

    def expected(key: str, feature: str) -> list[Any]:
        times = {"time": "event_timestamp", "created": "created"}
        rows = tables[key]
        found = [by_hand(o, rows, {key: key}, DAY, **times, known_only=False) for o in orders]
        return [row and row[feature] for row in found]

    def given(view: str, feature: str) -> list[Any]:
        column = answer[f"{view}__{feature}" if in_full else feature]
        return column.astype(object).where(column.notna(), None).tolist()

    balances = expected("customer", "balance")
    assert given("driver_stats", "trips") == expected("driver", "trips")
    assert given("customer_stats", "balance") == balances
    left = [b and b - o["amount"] for b, o in zip(balances, orders, strict=True)]
    assert given(rest.name, "rest") == left


def rests(inputs: pd.DataFrame) -> pd.DataFrame:
    return (inputs["balance"] - inputs["amount"]).to_frame("rest")


def rests_in_full(inputs: pd.DataFrame) -> pd.DataFrame:
    return (inputs["customer_stats__balance"] - inputs["amount"]).to_frame("rest")


def test_two_views_of_one_source(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [{**row("a", 1, 1, 1), "ratio": 0.5}])
    of = source(file)
    views = [
        feature_view("v", of),
        feature_view("w", of, features={"ratio": Float32}),
    ]
    store = open_store(tmp_path, *views)
    answer = store.get_historical_features(asked(("a", 2)), ["v:value", "w:ratio"]).to_df()
    assert answer[["value", "ratio"]].to_numpy().tolist() == [[1, 0.5]]


def test_features_of_one_name(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [row("a", 1, 1, 1)])
    views = [feature_view(name, source(file, name=name)) for name in ("v", "w")]
    store = open_store(tmp_path, *views)
    with pytest.raises(FeatureNameCollisionError, match="value"):
        store.get_historical_features(asked(("a", 2)), ["v:value", "w:value"])


def test_request_data_that_is_missing(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [row("a", 1, 1, 1)])
    view = feature_view("v", source(file), features={"balance": Float32})
    amount = RequestSource(name="order", schema=[Field(name="amount", dtype=Float64)])

    def left(inputs: pd.DataFrame) -> pd.DataFrame:
        return inputs[["amount"]].rename(columns={"amount": "left"})

    schema = [Field(name="left", dtype=Float64)]
    rest = on_demand_feature_view(sources=[view, amount], schema=schema, mode="pandas")(left)
    store = open_store(tmp_path, view, rest)
    with pytest.raises(RequestDataNotFoundInEntityDfException, match="amount"):
        store.get_historical_features(asked(("a", 2)), ["left:left"])
