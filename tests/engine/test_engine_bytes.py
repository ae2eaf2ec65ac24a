"""The columnar engine leaves in Redis what Feast's own leaves, byte for byte, from any source."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from feast import FeatureView, Field, FileSource
from feast.types import Int64

from feast_plugins import columnar_engine
from tests.engine.engine_repo import (
    DAY,
    END,
    FEASTS_OWN,
    HOUR,
    MINUTE,
    OURS,
    SHOP,
    START,
    TYPES,
    USER,
    UTC_US,
    Dump,
    OpenStore,
    online,
    simple_rows,
    view_of,
    write_every_type,
)


def test_the_same_bytes_as_feasts_own(
    open_store: OpenStore, dump: Callable[[], Dump], client: redis.Redis, tmp_path: Path
) -> None:
    view = write_every_type(tmp_path / "rows.parquet")
    open_store(view, parts=FEASTS_OWN, name="theirs").materialize(START, END)
    theirs = dump()
    client.flushall()
    store = open_store(view)
    store.materialize(START, END)
    assert len(theirs) == 40
    assert dump() == theirs
    read = store.get_online_features([f"v:{name}" for name in TYPES], [{"user_id": "user_39"}])
    last = {name: make(399) for name, (_, _, make) in TYPES.items()}
    assert {name: values[0] for name, values in read.to_dict().items() if name != "user_id"} == {
        name: None
        if 399 % (5 + i) == 0
        else pytest.approx(last[name], rel=1e-6)
        if name in ("ratio", "ratios")
        else last[name]
        for i, name in enumerate(TYPES)
    }


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
    monkeypatch.setattr(columnar_engine, "ROWS_PER_PARTITION", 60)
    monkeypatch.setattr(columnar_engine, "ROWS_PER_BATCH", 7)
    store.materialize(START, END)
    assert dump() == at_once


def test_the_same_training_rows_as_feasts_own(open_store: OpenStore, tmp_path: Path) -> None:
    view = write_every_type(tmp_path / "rows.parquet")
    asked = pd.DataFrame(
        {
            "user_id": [f"user_{n % 45}" for n in range(300)],
            "event_timestamp": [START + 5 * HOUR * n for n in range(300)],
            "row": range(300),
        }
    )
    features = ["v:count", "v:ratio", "v:exact", "v:word", "v:flag"]
    answers = []
    for name, parts in {"theirs": FEASTS_OWN, "ours": OURS}.items():
        store = open_store(view, parts=parts, name=name)
        job = store.get_historical_features(asked, features, filter_by_created_timestamp=True)
        answers.append(job.to_df().sort_values("row", ignore_index=True))
    pd.testing.assert_frame_equal(*answers, check_dtype=False, check_exact=True)


# ---- Sources as they come -----------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit_and_zone(
    unit: str, zone: str | None, open_store: OpenStore, tmp_path: Path
) -> None:
    times = pa.array([START, START, START + DAY], UTC_US).cast(pa.timestamp(unit, tz="UTC"))
    times = times.cast(pa.timestamp(unit, tz=zone)) if zone else times.cast(pa.timestamp(unit))
    table = pa.table(simple_rows(event_timestamp=times, created=times))
    pq.write_table(table, tmp_path / "rows.parquet", version="2.6")
    store = open_store(view_of(tmp_path / "rows.parquet", count=Int64))
    store.materialize(START + MINUTE, START + DAY)
    assert online(store) == [None, 3]


def test_a_folder_of_files(open_store: OpenStore, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    (folder / "day=2").mkdir(parents=True)
    table = pa.table(simple_rows())
    pq.write_table(table.slice(0, 2), folder / "first.parquet")
    pq.write_table(table.slice(2), folder / "day=2" / "second.parquet")
    store = open_store(view_of(folder, count=Int64))
    store.materialize(START, END)
    assert online(store) == [1, 3]


def test_no_created_column_several_join_keys_and_renamed_columns(
    open_store: OpenStore, tmp_path: Path
) -> None:
    file = tmp_path / "rows.parquet"
    shops = pa.array([7, 7, 8], pa.int32())  # the entity is declared as Int64
    pq.write_table(pa.table(simple_rows(created=None, shop=shops)), file)
    source = FileSource(
        path=file.name,  # relative to the repository
        timestamp_field="event_timestamp",
        field_mapping={"shop": "shop_id", "count": "visits"},
    )
    schema = [Field(name="visits", dtype=Int64)]
    view = FeatureView(name="v", entities=[SHOP, USER], ttl=DAY, schema=schema, source=source)
    store = open_store(view)
    store.materialize(START, END)
    asked = {"user_id": ["b", "b", "a"], "shop_id": [7, 8, 8]}
    assert store.get_online_features(["v:visits"], asked).to_dict()["visits"] == [2, 3, None]


def test_rows_without_an_entity_are_nobodys(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    pq.write_table(pa.table(simple_rows(user_id=["a", None, "b"])), tmp_path / "rows.parquet")
    store = open_store(view_of(tmp_path / "rows.parquet", count=Int64))
    store.materialize(START, END)
    assert online(store) == [1, 3]
    assert client.dbsize() == 2
