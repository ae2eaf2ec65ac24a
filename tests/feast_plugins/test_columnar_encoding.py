"""Whole columns become the bytes that Feast's own functions make, value by value."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from feast import ValueType
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_pa, python_values_to_proto_values
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from feast_plugins.columnar_encoding import encode_features, encode_times, entity_keys
from feast_plugins.redis_encoding import Kind

TEXT = st.text(max_size=300)
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
SCALARS: dict[ValueType, st.SearchStrategy[Any]] = {
    ValueType.INT32: INT32,
    ValueType.INT64: INT64,
    ValueType.FLOAT: st.floats(width=32),
    ValueType.DOUBLE: st.floats(),
    ValueType.STRING: TEXT,
    ValueType.BYTES: st.binary(max_size=300),
    ValueType.BOOL: st.booleans(),
}


def feasts_own(values: Any, declared: ValueType) -> list[bytes]:
    return [value.SerializeToString() for value in python_values_to_proto_values(values, declared)]


def columns(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | of, max_size=30)


LISTS = {
    ValueType[f"{item.name}_LIST"]: st.lists(values, max_size=5)
    for item, values in {**SCALARS, ValueType.UNIX_TIMESTAMP: MOMENTS}.items()
}


@pytest.mark.parametrize("declared", [*SCALARS, *LISTS], ids=lambda declared: declared.name)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_values_and_lists_are_feasts(declared: ValueType, data: st.DataObject) -> None:
    values = data.draw(columns({**SCALARS, **LISTS}[declared]))
    # Of a column that has only empty bytes Feast makes nulls: it guesses the type by the others.
    assume(declared is not ValueType.BYTES or any(values) or set(values) <= {None})
    column = pa.array(values, feast_value_type_to_pa(declared))
    assert encode_features(column, declared) == feasts_own(values, declared)


@settings(deadline=None, max_examples=60)
@given(
    values=columns(MOMENTS), unit=st.sampled_from(["ms", "us"]), zone=st.sampled_from(["UTC", None])
)
def test_timestamps_are_what_feast_makes_of_a_column(
    values: list[datetime | None], unit: str, zone: str | None
) -> None:
    column = pa.array(values, pa.timestamp("us", "UTC"))
    column = column.cast(pa.timestamp(unit, zone), safe=False)
    theirs = feasts_own(column.to_numpy(zero_copy_only=False), ValueType.UNIX_TIMESTAMP)
    assert encode_features(column, ValueType.UNIX_TIMESTAMP) == theirs


@pytest.mark.parametrize(
    ("column", "declared", "same_as"),
    [
        (pa.array([1.0, None, float("nan"), 7.0]), ValueType.INT64, [1, None, None, 7]),
        (pa.array([1, None], pa.int32()), ValueType.INT64, [1, None]),
        (pa.array([2**60, None]), ValueType.INT64, [2**60, None]),
        (pa.array([0.1, None]), ValueType.FLOAT, [0.1, None]),
        (pa.array([0.5], pa.float32()), ValueType.DOUBLE, [0.5]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ValueType.STRING, ["a", None, "a"]),
        (pa.array(["ab"], pa.large_string()), ValueType.STRING, ["ab"]),
        (pa.array([None, None]), ValueType.DOUBLE, [None, None]),
        (pa.array([5, 6, 7])[1:], ValueType.INT64, [6, 7]),
    ],
    ids=[
        "integers that pandas made floats",
        "a narrower integer",
        "a null beside a number that a float cannot hold",
        "a wider float",
        "a narrower float",
        "a dictionary",
        "a large string",
        "nothing but nulls",
        "a slice",
    ],
)
def test_columns_of_another_type_than_declared(
    column: pa.Array, declared: ValueType, same_as: list[Any]
) -> None:
    assert encode_features(column, declared) == feasts_own(same_as, declared)


def test_a_number_too_large_for_its_type_is_refused() -> None:
    with pytest.raises(ValueError, match="1099511627776 has no place in int32"):
        encode_features(pa.array([2**40]), ValueType.INT32)


@pytest.mark.parametrize("declared", [ValueType.INT32, ValueType.INT64, ValueType.BOOL])
@pytest.mark.parametrize("number", [1.5, float("inf"), Decimal("1.50")])
def test_a_fraction_is_no_integer(declared: ValueType, number: Any) -> None:
    with pytest.raises(ValueError, match=f"^{number} has no place in"):
        encode_features(pa.array([type(number)(1), None, number]), declared)


@settings(deadline=None, max_examples=60)
@given(moments=st.lists(MOMENTS, max_size=30))
def test_event_times_are_feasts(moments: list[datetime]) -> None:
    theirs = []
    for moment in moments:
        message = Timestamp()
        message.FromDatetime(moment)
        theirs.append(message.SerializeToString())
    assert encode_times(pa.array(moments, pa.timestamp("us", "UTC"))) == theirs


def test_an_event_time_that_is_null_is_refused() -> None:
    with pytest.raises(ValueError, match="1 event times are null"):
        encode_times(pa.array([0, None], pa.timestamp("us", "UTC")))


@pytest.mark.parametrize("version", [2, 3])
@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(TEXT, INT64, INT32), max_size=10),
    names=st.lists(st.text(min_size=1, max_size=9), min_size=3, max_size=3, unique=True),
    used=st.integers(1, 3),
    project=TEXT,
)
def test_entity_keys_are_feasts(
    version: int, rows: list[Any], names: list[str], used: int, project: str
) -> None:
    types = [pa.string(), pa.int64(), pa.int32()]
    protos = [
        lambda v: Value(string_val=v),
        lambda v: Value(int64_val=v),
        lambda v: Value(int32_val=v),
    ]
    given_columns = {names[n]: pa.array([row[n] for row in rows], types[n]) for n in range(used)}
    theirs = [
        EntityKey(join_keys=names[:used], entity_values=[protos[n](row[n]) for n in range(used)])
        for row in rows
    ]
    assert entity_keys(project, given_columns, version) == [
        serialize_entity_key(key, version) + project.encode() for key in theirs
    ]


def test_the_declared_type_of_a_join_key_wins_over_its_columns() -> None:
    narrow, wide = ({"k": pa.array([7], kind)} for kind in (pa.int32(), pa.int64()))
    assert entity_keys("p", narrow, 3, {"k": Kind.INT64}) == entity_keys("p", wide, 3)
    assert entity_keys("p", narrow, 3) != entity_keys("p", wide, 3)
