"""Feast's Redis layout, byte for byte against Feast's own functions."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from feast import ValueType
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Null, Value
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from feast_plugins.redis_encoding import (
    KeyLayout,
    Kind,
    WrongType,
    decode_time,
    decode_value,
    decoder,
    entity_key,
    feature_field,
    join_keys_of,
    time_field,
)

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
NAMES = st.text(min_size=1, max_size=20)
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)

SCALARS: dict[str, Any] = {
    "bytes_val": b"\x00\xff",
    "string_val": "naïve ☕",
    "int32_val": -(2**31),
    "int64_val": 2**63 - 1,
    "double_val": 0.1,
    "float_val": 0.5,
    "bool_val": False,
    "unix_timestamp_val": 1_780_000_000,
}
LISTS: dict[str, list[Any]] = {
    "bytes_list_val": [b"\x00", b""],
    "string_list_val": ["a", "☕"],
    "int32_list_val": [-1, 2],
    "int64_list_val": [2**53 + 1],
    "double_list_val": [0.1, 0.2],
    "float_list_val": [0.5, 0.25],
    "bool_list_val": [True, False],
    "unix_timestamp_list_val": [1, 2],
}


@pytest.mark.parametrize("version", [2, 3])
@given(
    entities=st.lists(st.tuples(NAMES, INT64, INT32), min_size=1, max_size=5),
    names=st.lists(NAMES, min_size=3, max_size=3, unique=True),
)
def test_entity_keys_are_feasts(
    version: int, entities: list[tuple[str, int, int]], names: list[str]
) -> None:
    """Of three join keys, and of one that is a text or a number."""
    kinds = dict(zip(names, (Kind.STRING, Kind.INT64, Kind.INT32), strict=True))
    layout = KeyLayout("p", kinds, version)
    columns = dict(zip(names, zip(*entities, strict=True), strict=True))
    ours = layout.keys([columns[name] for name in layout.join_keys])
    for key, (text, wide, narrow) in zip(ours, entities, strict=True):
        values = [Value(string_val=text), Value(int64_val=wide), Value(int32_val=narrow)]
        assert key == feasts_key(names, values, version)
        assert entity_key("p", names[0], text, version) == feasts_key(
            names[:1], values[:1], version
        )
        assert entity_key("p", names[1], wide, version) == feasts_key(
            names[1:2], values[1:2], version
        )


def feasts_key(names: list[str], values: list[Value], version: int) -> bytes:
    key = EntityKey(join_keys=names, entity_values=values)
    return bytes(serialize_entity_key(key, version)) + b"p"


@given(
    content=st.binary(min_size=1, max_size=20), moment=MOMENTS, zone=st.sampled_from([UTC, None])
)
def test_bytes_and_times_as_keys_are_feasts(
    content: bytes, moment: datetime, zone: tzinfo | None
) -> None:
    time = moment.replace(tzinfo=zone)
    for kind, value in ((Kind.BYTES, content), (Kind.UNIX_TIMESTAMP, time)):
        theirs = python_values_to_proto_values([value], ValueType(kind.value))
        (ours,) = KeyLayout("p", {"k": kind}).keys([[value]])
        assert ours == feasts_key(["k"], theirs, version=3)
        assert join_keys_of(ours, "p") == ("k",)
        assert join_keys_of(ours, "q") is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.STRING, None),
        (Kind.BYTES, None),
        (Kind.UNIX_TIMESTAMP, None),
        (Kind.STRING, float("nan")),
        (Kind.INT64, None),
        (Kind.INT64, "seven"),
        (Kind.INT32, 2**31),
        (Kind.BOOL, True),
    ],
)
def test_what_cannot_be_a_key_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(ValueError, match=r"null|not an |of type BOOL|invalid literal"):
        KeyLayout("p", {"k": kind}).keys([[value]])


@given(view=NAMES, feature=NAMES)
def test_fields_are_feasts(view: str, feature: str) -> None:
    assert feature_field(view, feature) == _mmh3(f"{view}:{feature}")
    assert time_field(view) == bytes(f"_ts:{view}", "utf8")


STORED: dict[str, Any] = {**SCALARS, **LISTS}


def stored_as(kind: str, value: Any) -> bytes:
    message = Value()
    if kind.endswith("list_val"):
        getattr(message, kind).val.extend(value)
        getattr(message, kind).SetInParent()
    else:
        setattr(message, kind, value)
    content: bytes = message.SerializeToString()
    return content


def kind_of(field: str) -> Kind:
    return Kind[field.removesuffix("_val").upper()]


@pytest.mark.parametrize("field", STORED)
def test_a_value_is_decoded(field: str) -> None:
    """By its declared type as Feast's SDK does; without one, times are numbers."""
    empty: list[Any] = [[]] if field.endswith("list_val") else []
    for value in [STORED[field], *empty]:
        stored = stored_as(field, value)
        undeclared = decode_value(stored)
        assert (type(undeclared), undeclared) == (type(value), value)
        theirs = feast_value_type_to_python_type(Value.FromString(stored))
        ours = decoder(kind_of(field))(stored)
        assert (type(ours), ours) == (type(theirs), theirs)


@pytest.mark.parametrize("field", STORED)
def test_nulls_and_what_is_missing_are_none(field: str) -> None:
    for stored in (b"", Value(null_val=Null.NULL).SerializeToString()):
        assert decoder(kind_of(field))(stored) is None
        assert decode_value(stored) is None
    assert decode_value(None) is decode_time(None) is None


def test_feasts_null_among_times_is_none() -> None:
    nothing = -(2**63)
    assert decoder(Kind.UNIX_TIMESTAMP)(stored_as("unix_timestamp_val", nothing)) is None
    several = stored_as("unix_timestamp_list_val", [0, nothing])
    assert decoder(Kind.UNIX_TIMESTAMP_LIST)(several) == [datetime(1970, 1, 1, tzinfo=UTC), None]


@pytest.mark.parametrize("field", STORED)
def test_a_value_of_another_type_is_not_taken_for_this_one(field: str) -> None:
    stored = stored_as(field, STORED[field])
    for other in set(STORED) - {field}:
        with pytest.raises(WrongType, match=kind_of(other).name):
            decoder(kind_of(other))(stored)


@pytest.mark.parametrize("field", STORED)
def test_what_was_cut_off_is_not_a_value(field: str) -> None:
    stored = stored_as(field, STORED[field])
    for length in range(1, len(stored)):
        with pytest.raises(WrongType):
            decoder(kind_of(field))(stored[:length])


@given(microseconds=st.integers(0, 4 * 10**15))
def test_times_are_decoded_to_the_microsecond(microseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    stored = Timestamp()
    stored.FromDatetime(moment)
    assert decode_time(stored.SerializeToString()) == moment
