"""The columnar engine writes the same bytes to Redis as Feast's own, from any source."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from feast import FeatureView, Field, FileSource
from feast.types import Int64

from feast_plugins import columnar_rows
from tests.feast_plugins.asof_repo import DAY, ROWS, START, USER, at, online, write_rows
from tests.feast_plugins.engine.engine_repo import (
    END,
    ENGINE,
    FEASTS_OWN,
    SHOP,
    Dump,
    OpenStore,
    row,
    view_of,
    write_every_type,
)


@pytest.mark.parametrize("version", [2, 3])
def test_the_same_bytes_as_feasts_own(
    version: int,
    open_store: OpenStore,
    dump: Callable[[], Dump],
    client: redis.Redis,
    tmp_path: Path,
) -> None:
    view = write_every_type(tmp_path / "rows.parquet")
    keys = {"entity_key_serialization_version": version}
    open_store(view, parts=FEASTS_OWN | keys, name="theirs").materialize(START, END)
    theirs = dump()
    client.flushall()
    open_store(view, parts=ENGINE | keys).materialize(START, END)
    assert len(theirs) == 40
    assert dump() == theirs


def test_partitions_leave_the_same(
    open_store: OpenStore,
    dump: Callable[[], Dump],
    client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_store(write_every_type(tmp_path / "rows.parquet"))
    store.materialize(START, END)
    at_once = dump()
    client.flushall()
    monkeypatch.setattr(columnar_rows, "ROWS_PER_PARTITION", 60)
    monkeypatch.setattr(columnar_rows, "ROWS_PER_BATCH", 7)
    store.materialize(START, END)
    assert dump() == at_once


@pytest.mark.parametrize(
    ("unit", "zone"), [("ms", "America/New_York"), ("us", None), ("ns", "UTC")]
)
def test_times_of_any_unit_and_zone(
    unit: str, zone: str | None, open_store: OpenStore, tmp_path: Path
) -> None:
    kind = pa.timestamp(unit, zone)
    file = write_rows(tmp_path / "rows.parquet", ROWS, event_timestamp=kind, created=kind)
    store = open_store(view_of(file))
    store.materialize(at(2.5), at(3))
    assert online(store, "a", "b") == [3, None]


def test_no_created_column_several_join_keys_and_renamed_columns(
    open_store: OpenStore, tmp_path: Path
) -> None:
    rows = [{**each, "shop": shop} for each, shop in zip(ROWS, (7, 8, 7), strict=True)]
    file = write_rows(tmp_path / "rows.parquet", rows, shop=pa.int32())  # declared as Int64
    source = FileSource(
        path=file.name,  # relative to the repository
        timestamp_field="event_timestamp",
        field_mapping={"shop": "shop_id", "value": "visits"},
    )
    schema = [Field(name="visits", dtype=Int64)]
    view = FeatureView(name="v", entities=[SHOP, USER], ttl=DAY, schema=schema, source=source)
    store = open_store(view)
    store.materialize(START, END)
    keys = {"user_id": ["a", "a", "b"], "shop_id": [7, 8, 8]}
    assert store.get_online_features(["v:visits"], keys).to_dict()["visits"] == [1, 3, None]


def test_rows_without_an_entity_are_nobodys(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    rows = [*ROWS, {**row("", 1, 7), "user_id": None}]
    store = open_store(view_of(write_rows(tmp_path / "rows.parquet", rows)))
    store.materialize(START, END)
    assert online(store, "a", "b") == [3, 20]
    assert client.dbsize() == 2
