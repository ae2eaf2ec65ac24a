"""Feast's own Spark store and engine: what differs from this repository's, and what does not."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from feast import FeatureStore, RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Int64

from scale.redis_cluster import RedisNode, connection_string
from tests.feast_plugins.asof_repo import (
    MERCHANT,
    OURS,
    USER,
    Row,
    at,
    feature_view,
    source,
    write_rows,
)

pytestmark = pytest.mark.scale

USERS = [f"u{number}" for number in range(50)]
ONLINE = {"type": "feast_plugins.redis_online_store.VersionedRedisOnlineStore"}


def row(user: str, merchant: str, hour: float, value: int, created: Any = 0) -> Row:
    keys = {"user_id": user, "merchant_id": merchant, "event_timestamp": at(hour)}
    return keys | {"created": None if created is None else at(hour + created), "value": value}


def open_both(folder: Path, rows: list[Row], master: str, online_store: Row) -> list[FeatureStore]:
    """Open Feast's Spark store and engine, and the embedded ones, on the same rows."""
    file = write_rows(folder / "rows.parquet", rows)
    times = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created"}
    on_spark = SparkSource(name="rows", path=str(file), file_format="parquet", **times)
    conf = {"spark.master": master, "spark.sql.session.timeZone": "UTC"}
    parts = {
        "theirs": ({"type": "spark", "spark_conf": conf}, {"type": "spark.engine"}, on_spark),
        "ours": ({"type": OURS}, {"type": "local"}, source(file)),
    }
    stores = []
    for project, (offline, engine, rows_of) in parts.items():
        config = RepoConfig(
            project=project,
            provider="local",
            registry=str(folder / f"{project}.db"),
            offline_store=offline,
            batch_engine=engine,
            online_store=online_store,
            entity_key_serialization_version=3,
        )
        view = feature_view("v", rows_of, USER, MERCHANT, features={"value": Int64})
        stores.append(FeatureStore(config=config))
        stores[-1].apply([USER, MERCHANT, view])
    return stores


@pytest.mark.parametrize(
    ("rows", "asked", "theirs", "ours"),
    [
        ([row("a", "x", 1, 1), row("a", "x", 1, 2)], [("a", "x")], [1, 2], [2]),
        ([row("a", "x", 1, 1, None)], [("a", "x")], [None], [1]),
        ([row("a", "bx", 1, 1)], [("a", "bx"), ("ab", "x")], [1, 1], [1, None]),
        ([row("a", "x", 1, 1)], [("a", "x"), ("a", "x")], [1, 1], [1, 1]),
    ],
    ids=["a tie", "no created time", "keys that are one text", "equal entity rows"],
)
def test_differences(
    rows: list[Row],
    asked: list[tuple[str, str]],
    theirs: list[Any],
    ours: list[Any],
    spark: tuple[str, list[Any]],
    tmp_path: Path,
) -> None:
    """A row of the table in docs/scaling.md."""
    found = []
    for store in open_both(tmp_path, rows, spark[0], {"type": "sqlite", "path": ":memory:"}):
        frame = pd.DataFrame(asked, columns=["user_id", "merchant_id"])
        frame = frame.assign(event_timestamp=at(2))
        answer = store.get_historical_features(frame, ["v:value"]).to_df()["value"]
        found.append([None if pd.isna(value) else value for value in answer])
    assert [sorted(values, key=str) for values in found] == [theirs, ours]


def test_feasts_engine_fills_a_redis_cluster(
    spark: tuple[str, list[Any]], redis_nodes: list[RedisNode], tmp_path: Path
) -> None:
    rows = [row(user, "x", hour, n + hour) for n, user in enumerate(USERS) for hour in (1, 2)]
    nodes = {"redis_type": "redis_cluster", "connection_string": connection_string(redis_nodes)}
    values = []
    for store in open_both(tmp_path, rows, spark[0], ONLINE | nodes):
        store.materialize(at(0), at(9))
        keys = [{"user_id": user, "merchant_id": "x"} for user in USERS]
        values.append(store.get_online_features(["v:value"], keys).to_dict()["value"])
    assert values == [[n + 2 for n in range(50)]] * 2
