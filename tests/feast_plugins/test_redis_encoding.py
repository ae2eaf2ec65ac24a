"""Feast's Redis layout, byte for byte against Feast's own functions."""

from datetime import UTC, datetime, tzinfo

import numpy as np
import pandas as pd
import pytest
from feast import ValueType
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_plugins.redis_encoding import (
    KeyLayout,
    Kind,
    decoder,
    entity_key,
    feature_field,
    join_keys_of,
    time_field,
)

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
NAMES = st.text(min_size=1, max_size=20)
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize("version", [2, 3])
@settings(deadline=None, max_examples=25)
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
    time, of_numpy = moment.replace(tzinfo=zone), np.datetime64(moment, "ns")
    kinds = [Kind.BYTES, Kind.UNIX_TIMESTAMP, Kind.UNIX_TIMESTAMP]
    for kind, value in zip(kinds, (content, time, of_numpy), strict=True):
        theirs = python_values_to_proto_values([value], ValueType(kind.value))
        (ours,) = KeyLayout("p", {"k": kind}).keys([[value]])
        assert ours == feasts_key(["k"], theirs, version=3)
        assert join_keys_of(ours, "p") == ("k",)
        assert join_keys_of(ours, "q") is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.STRING, None),
        (Kind.STRING, pd.NA),
        (Kind.UNIX_TIMESTAMP, np.datetime64("NaT")),
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


def test_feasts_null_among_times_is_none() -> None:
    nothing, several = -(2**63), Value()
    stored = Value(unix_timestamp_val=nothing).SerializeToString()
    assert decoder(Kind.UNIX_TIMESTAMP)(stored) is None
    several.unix_timestamp_list_val.val.extend([0, nothing])
    found = decoder(Kind.UNIX_TIMESTAMP_LIST)(several.SerializeToString())
    assert found == [datetime(1970, 1, 1, tzinfo=UTC), None]
