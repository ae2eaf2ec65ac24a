"""The inputs of Feast's own engine and Redis store give the same bytes here, or a better result."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from feast import Entity, FeatureService, ValueType
from feast.types import Array, Bool, Float64, Int64, String, UnixTimestamp

from feast_plugins.feature_source import SourceError
from feast_plugins.online_features import Status
from feast_plugins.online_reader import OnlineReader
from tests.feast_plugins.asof_repo import (
    DAY,
    HOUR,
    START,
    feature_view,
    online,
    source,
    write_rows,
)
from tests.feast_plugins.engine.engine_repo import (
    BEFORE_1970,
    END,
    ENGINE,
    FEASTS_OWN,
    SHOP,
    Dump,
    OpenStore,
    row,
    view_of,
)

OVER_FEASTS = {**ENGINE, "offline_store": {"type": "duckdb"}}
Materialized = Callable[..., Dump]


@pytest.fixture
def materialized(
    open_store: OpenStore, dump: Callable[[], Dump], client: redis.Redis
) -> Materialized:
    """Return the content of Redis after a materialization into an empty one."""

    def run(*objects: Any, parts: dict[str, Any] = ENGINE, start: datetime = START) -> Dump:
        client.flushall()
        name = parts.get("batch_engine", {}).get("type", "local")
        open_store(*objects, parts=parts, name=name).materialize(start, END)
        return dump()

    return run


def keyed(folder: Path, name: str, kind: ValueType, keys: pa.Array) -> list[Any]:
    """Return an entity of a type and its view, over rows of these keys."""
    times = pa.array([START + n * HOUR for n in range(len(keys))])
    columns = {name: keys, "event_timestamp": times, "created": times, "value": range(len(keys))}
    file = folder / f"{name}.parquet"
    pq.write_table(pa.table({column: pa.array(of) for column, of in columns.items()}), file)
    entity = Entity(name=name, value_type=kind)
    return [entity, feature_view(f"of_{name}", source(file), entity)]


def test_keys_of_any_type_that_feasts_engine_takes(
    materialized: Materialized, tmp_path: Path
) -> None:
    kinds = {
        "raw": (ValueType.BYTES, pa.array([b"a", b"", b"\xff\0", b"a"])),
        "times": (ValueType.UNIX_TIMESTAMP, pa.array([START, BEFORE_1970, BEFORE_1970 - DAY])),
        "dates": (ValueType.UNIX_TIMESTAMP, pa.array([START.date(), BEFORE_1970.date()])),
        "narrowed": (ValueType.INT32, pa.array([1, -(2**31)])),
        "floats": (ValueType.INT64, pa.array([1.0, -2.0])),
        "numbers_as_text": (ValueType.STRING, pa.array([1, 2])),
        "fractions_as_text": (ValueType.STRING, pa.array([1.5, 2.0, -1e20])),
        "flags_as_text": (ValueType.STRING, pa.array([True, False])),
    }
    objects = [of for name, kind in kinds.items() for of in keyed(tmp_path, name, *kind)]
    theirs = materialized(*objects, parts=FEASTS_OWN)
    assert len(theirs) == 19
    assert materialized(*objects) == theirs


@pytest.mark.parametrize("kind", [ValueType.UUID, ValueType.DOUBLE, ValueType.BOOL])
def test_a_key_type_that_redis_has_no_place_for_is_refused_by_feasts_engine(
    kind: ValueType, materialized: Materialized, tmp_path: Path
) -> None:
    key = {ValueType.DOUBLE: 1.5, ValueType.BOOL: True}.get(kind, f"{0:032}")
    objects = keyed(tmp_path, "odd", kind, pa.array([key]))
    with pytest.raises(ValueError, match="Value type not supported for feast"):
        materialized(*objects)


def test_what_the_engine_does_not_read_goes_to_feasts_engine(
    materialized: Materialized, tmp_path: Path
) -> None:
    """Columns of another type than declared; times may be text or dates."""
    stored = {
        "decimals": (Int64, pa.array([Decimal("1.00"), Decimal("2.00")])),
        "flags": (Int64, pa.array([True, None])),
        "text": (String, pa.array([True, False])),
        "dates": (UnixTimestamp, pa.array([START.date(), None])),
    }
    views = []
    for number, kind in enumerate((pa.timestamp("us", "UTC"), pa.string(), pa.date32())):
        times = pa.array([START.replace(tzinfo=None)] * 2).cast(pa.date32()).cast(kind)
        columns = {"user_id": ["a", "b"], "event_timestamp": times, "created": times}
        columns |= {name: values for name, (_, values) in stored.items()}
        file = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table(columns), file)
        features = {name: declared for name, (declared, _) in stored.items()}
        views.append(feature_view(f"v{number}", source(file), features=features))
    theirs = materialized(*views, parts=FEASTS_OWN)
    assert len(theirs) == 2
    assert materialized(*views, parts=OVER_FEASTS) == theirs


def test_nan_is_null_and_a_fraction_is_named(
    open_store: OpenStore, client: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "rows.parquet"
    rows = [row("a", 0, 1), row("b", 0, 2)]
    number = pa.float64()
    write_rows(
        file,
        [{**each, "value": value} for each, value in zip(rows, [7.0, float("nan")], strict=True)],
        value=number,
    )
    store = open_store(view_of(file))
    store.materialize(START, END)
    assert online(store, "a", "b") == [7, None]
    write_rows(file, [{**row("a", 2, 1), "value": 1.5}], value=number)
    with pytest.raises(
        SourceError, match=r"v: value of .*rows\.parquet: 1\.5 has no place in int64"
    ):
        store.materialize(START, END)
    assert online(store, "a") == [7]


def test_rows_that_are_created_after_the_run_are_reported(
    open_store: OpenStore, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    rows = [row("a", 0, 1, created=48), row("b", 0, 2, created=72), row("c", 0, 3)]
    store = open_store(view_of(write_rows(tmp_path / "rows.parquet", rows)))
    store.materialize(START, START + DAY)
    (message,) = [each.getMessage() for each in caplog.records if "left out" in each.msg]
    assert message.startswith("v: left out 2 rows of the interval, created after 2026-01-02")
    assert "ends at 2026-01-04 00:00:00+00:00 or later" in message
    caplog.clear()
    store.materialize(START, START + 3 * DAY)
    assert online(store, "a", "b", "c") == [1, 2, 3]
    assert not [each for each in caplog.records if "left out" in each.msg]
    never = datetime(9999, 12, 31, tzinfo=UTC)
    write_rows(tmp_path / "rows.parquet", [{**row("d", 0, 4), "created": never}])
    store.materialize(START, START + DAY)
    assert f"ends at {never} or later" in caplog.messages[-1]


def test_the_newer_time_wins_before_1970_too(open_store: OpenStore, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    store = open_store(view_of(write_rows(file, [row("a", 0, 0)])))
    second = timedelta(seconds=1)
    for value, (moment, expected) in enumerate(
        [
            (BEFORE_1970, 0),
            (BEFORE_1970 - second, 0),
            (BEFORE_1970 + second / 4, 2),
            (BEFORE_1970 + 2 * DAY, 3),
            (BEFORE_1970, 3),
            (START, 5),
        ]
    ):
        times = {"event_timestamp": moment, "created": moment}
        write_rows(file, [{**row("a", 0, value), **times}])
        store.materialize(moment - HOUR, moment + HOUR)
        assert online(store, "a") == [expected]


def test_each_version_of_a_view_is_stored_and_read(open_store: OpenStore, tmp_path: Path) -> None:
    """A running reader changes to a new one, whose values are missing until it is materialized."""
    file = write_rows(tmp_path / "rows.parquet", [{**row("a", 0, 1), "more": 7}])
    registry = {"path": str(tmp_path / "r.db"), "enable_online_feature_view_versioning": True}
    store = open_store(parts={**ENGINE, "registry": registry})

    def apply(*names: str) -> None:
        view = feature_view("v", source(file), features=dict.fromkeys(names, Int64))
        store.apply([view, FeatureService(name="all", features=[view])])

    apply("value")
    store.materialize(START, END)
    with OnlineReader.open(store.config, "all", now=lambda: START + 2 * HOUR) as reader:
        assert reader.read({"user_id": ["a"]}).values == {"value": [1]}
        apply("value", "more")
        assert reader.refresh()
        assert reader.read({"user_id": ["a"]}).statuses["value"] == [Status.MISSING]
        write_rows(file, [{**row("a", 1, 2), "more": 8}])
        store.materialize(START, END)
        assert reader.read({"user_id": ["a"]}).values == {"value": [2], "more": [8]}
    newest = store.get_online_features(["v:value", "v:more"], [{"user_id": "a"}]).to_dict()
    assert (newest["value"], newest["more"]) == ([2], [8])
    older = store.get_online_features(["v@v0:value"], [{"user_id": "a"}]).to_dict()
    assert older["value"] == [1]


LISTS = {
    "nothing": (Array(Int64), pa.null(), None, None),
    "decimals": (Array(Float64), pa.list_(pa.decimal128(5, 2)), [Decimal("1.5")], [1.5]),
    "flags": (Array(Bool), pa.list_(pa.int64()), [1, 0], [True, False]),
    "integers": (Array(Int64), pa.list_(pa.float64()), [2.0], [2]),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_whose_items_are_of_another_kind(
    open_store: OpenStore, tmp_path: Path, name: str
) -> None:
    declared, stored, value, answer = LISTS[name]
    rows = [{**row("a", 0, 0), "value": value}, {**row("b", 0, 0), "value": None}]
    file = write_rows(tmp_path / "rows.parquet", rows, value=stored)
    store = open_store(feature_view("v", source(file), features={"value": declared}))
    store.materialize(START, END)
    assert online(store, "a", "b") == [answer, None]


def test_integer_keys_stay_apart_where_a_file_has_them_as_floats(
    open_store: OpenStore, tmp_path: Path
) -> None:
    keys = [2**53, 2**53 + 1, 1.0, float("nan")]
    rows = [{**row("", 0, n), "shop_id": key} for n, key in enumerate(keys)]
    write_rows(tmp_path / "data" / "1.parquet", rows[:2], shop_id=pa.int64())
    write_rows(tmp_path / "data" / "2.parquet", rows[2:], shop_id=pa.float64())
    store = open_store(feature_view("v", source(tmp_path / "data"), SHOP))
    store.materialize(START, END)
    found = store.get_online_features(["v:value"], [{"shop_id": int(key)} for key in keys[:3]])
    assert found.to_dict()["value"] == [0, 1, 2]
    write_rows(tmp_path / "data" / "2.parquet", [{**rows[2], "shop_id": 1.5}])
    with pytest.raises(SourceError, match=r"v: .*data cannot be read: .*1\.5 of shop_id"):
        store.materialize(START, END)
