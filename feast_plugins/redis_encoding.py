"""Feast's Redis layout: one hash per entity key, shared by all its views.

Key: the serialized entity key, then the project. Field: murmur3_32 of "view:feature", four bytes,
little-endian. Value: a protobuf Value. Beside them `_ts:<view>` holds a protobuf Timestamp.
Source: Feast's documentation, docs/specs/online_store_format.md. Needs no Feast object.
"""

import struct
from datetime import UTC, datetime

import mmh3

STRING, INT64 = 2, 4  # Feast's ValueType


def entity_key(project: str, join_key: str, entity: str | int, version: int = 3) -> bytes:
    """The Redis key of an entity; `version` is Feast's entity_key_serialization_version."""
    name = join_key.encode()
    if isinstance(entity, int):
        kind, value = INT64, struct.pack("<q", entity)
    else:
        kind, value = STRING, entity.encode()
    head = struct.pack("<I", STRING) + name
    if version >= 3:
        head = struct.pack("<III", 1, STRING, len(name)) + name
    return head + struct.pack("<II", kind, len(value)) + value + project.encode()


def feature_field(view: str, feature: str) -> bytes:
    """The hash field of one feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def time_field(view: str) -> bytes:
    """The hash field of a view's event time."""
    return f"_ts:{view}".encode()


def decode_value(stored: bytes | None) -> object:
    """The value of a feature; None where it is missing or null."""
    from feast.protos.feast.types.Value_pb2 import Value

    if stored is None:
        return None
    value = Value.FromString(stored)
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    content: object = getattr(value, kind)
    return list(content.val) if kind.endswith("list_val") else content  # type: ignore[attr-defined]


def decode_time(stored: bytes | None) -> datetime | None:
    """The event time of a view's row; None where there is no row."""
    from google.protobuf.timestamp_pb2 import Timestamp

    if stored is None:
        return None
    moment: datetime = Timestamp.FromString(stored).ToDatetime(tzinfo=UTC)
    return moment
