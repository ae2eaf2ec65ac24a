"""Feast's Redis layout, byte for byte against Feast's own functions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Null, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from feast_plugins.redis_encoding import (
    decode_time,
    decode_value,
    entity_key,
    feature_field,
    time_field,
)

NAMES = st.text(min_size=1, max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)

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
@given(name=NAMES, entity=st.one_of(NAMES, INT64), project=NAMES)
def test_entity_key_is_feasts(version: int, name: str, entity: str | int, project: str) -> None:
    value = Value(int64_val=entity) if isinstance(entity, int) else Value(string_val=entity)
    theirs = serialize_entity_key(EntityKey(join_keys=[name], entity_values=[value]), version)
    assert entity_key(project, name, entity, version) == theirs + project.encode()


@given(view=NAMES, feature=NAMES)
def test_fields_are_feasts(view: str, feature: str) -> None:
    assert feature_field(view, feature) == _mmh3(f"{view}:{feature}")
    assert time_field(view) == bytes(f"_ts:{view}", "utf8")


@pytest.mark.parametrize(("kind", "value"), SCALARS.items())
def test_scalars_are_decoded(kind: str, value: object) -> None:
    decoded = decode_value(Value(**{kind: value}).SerializeToString())
    assert (type(decoded), decoded) == (type(value), value)


@pytest.mark.parametrize(("kind", "values"), LISTS.items())
def test_lists_are_decoded(kind: str, values: list[object]) -> None:
    for content in (values, []):
        value = Value()
        getattr(value, kind).SetInParent()
        getattr(value, kind).val.extend(content)
        assert decode_value(value.SerializeToString()) == content


@pytest.mark.parametrize(
    "stored",
    [None, b"", Value(null_val=Null.NULL).SerializeToString()],
    ids=["no field", "an empty value", "a null value"],
)
def test_nulls_are_none(stored: bytes | None) -> None:
    assert decode_value(stored) is None


@given(microseconds=st.integers(0, 4 * 10**15))
def test_times_are_decoded_to_the_microsecond(microseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    stored = Timestamp()
    stored.FromDatetime(moment)
    assert decode_time(stored.SerializeToString()) == moment


def test_no_time_is_none() -> None:
    assert decode_time(None) is None
