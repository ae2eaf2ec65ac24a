"""Feast's Redis layout: one hash per entity key, shared by all its views.

Key: the serialized entity key, then the project. Field: murmur3_32 of "view:feature", four bytes,
little-endian. Value: a protobuf Value. Field `_ts:<view>` holds a protobuf Timestamp; after its own
fields the plug-ins write the created time, in a field that Feast's readers skip as unknown.
Source: Feast's documentation, docs/specs/online_store_format.md. Needs no Feast object.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any

import mmh3
import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NULL_TIME = -(2**63)  # Feast stores a missing UNIX_TIMESTAMP as numpy's NaT
CREATED_TAG = b"\x19"  # of a Timestamp's field 3, eight bytes: microseconds since 1970
CREATED = struct.Struct("<cq")
KNOWN = 10_000  # cached decoded values
NULL = b""
NULLS = (NULL, b"\x98\x01\0")  # a Value without content, and one whose content is a null


class Kind(IntEnum):
    """A type that this layout supports: Feast's ValueType, and the field of its Value."""

    BYTES = 1
    STRING = 2
    INT32 = 3
    INT64 = 4
    DOUBLE = 5
    FLOAT = 6
    BOOL = 7
    UNIX_TIMESTAMP = 8
    BYTES_LIST = 11
    STRING_LIST = 12
    INT32_LIST = 13
    INT64_LIST = 14
    DOUBLE_LIST = 15
    FLOAT_LIST = 16
    BOOL_LIST = 17
    UNIX_TIMESTAMP_LIST = 18

    @cached_property
    def tag(self) -> bytes:
        """Return the first bytes of a serialized Value of this type."""
        fixed = {Kind.DOUBLE: 1, Kind.FLOAT: 5}
        varint = (Kind.INT32, Kind.INT64, Kind.BOOL, Kind.UNIX_TIMESTAMP)
        wire_type = fixed.get(self, 0 if self in varint else 2)
        return encode_varint(self * 8 + wire_type)


def encode_varint(number: int) -> bytes:
    """Return a number in protobuf's wire format, from 0 to 2**64 - 1."""
    parts = []
    while number > 127:
        parts.append(number % 128 + 128)
        number >>= 7
    return bytes([*parts, number])


# ---- Keys ------------------------------------------------------------------------------------

SIZED = struct.Struct("<II")
KEY_NUMBERS = {
    Kind.INT32: struct.Struct("<IIi"),
    Kind.INT64: struct.Struct("<IIq"),
    Kind.UNIX_TIMESTAMP: struct.Struct("<IIq"),
}
KEY_CONTENTS = {Kind.STRING, Kind.BYTES}
KEY_KINDS = KEY_CONTENTS | set(KEY_NUMBERS)


@dataclass(frozen=True)
class KeyLayout:
    """Layout of the keys of some join keys; `kinds` has the type of each join key.

    `version` is Feast's entity_key_serialization_version, 2 or 3.
    """

    project: str
    kinds: Mapping[str, Kind]
    version: int = 3

    @cached_property
    def join_keys(self) -> tuple[str, ...]:
        """Return the join keys in the order in which a key holds them."""
        return tuple(sorted(self.kinds))

    @cached_property
    def head(self) -> bytes:
        """Return the first bytes of every key."""
        names = [name.encode() for name in self.join_keys]
        if self.version < 3:
            return b"".join(struct.pack("<I", Kind.STRING) + name for name in names)
        sized = [SIZED.pack(Kind.STRING, len(name)) + name for name in names]
        return struct.pack("<I", len(names)) + b"".join(sized)

    def keys(self, columns: Sequence[Sequence[object]]) -> list[bytes]:
        """Return one key per row; `columns` are values in the order of `join_keys`.

        Raises ValueError for a value that is null or not of its join key's type.
        """
        named = zip(self.join_keys, columns, strict=True)
        values = [key_values(self.kinds[name], column) for name, column in named]
        head, tail = self.head, self.project.encode()
        if len(values) == 1:
            return [head + value + tail for value in values[0]]
        return [head + b"".join(parts) + tail for parts in zip(*values, strict=True)]


def key_values(kind: Kind, values: Sequence[object]) -> list[bytes]:
    """Return a join key's values as encoded in keys; raises ValueError as KeyLayout.keys does."""
    if kind not in KEY_KINDS:
        raise ValueError(f"a join key of type {kind.name} is not written by this layout")
    try:
        return _packed_contents(kind, values) if kind in KEY_CONTENTS else _packed(kind, values)
    except (TypeError, OverflowError, struct.error) as error:
        raise ValueError(f"not an {kind.name}: {error}") from error


def _packed_contents(kind: Kind, values: Sequence[object]) -> list[bytes]:
    texts = [value.encode() if type(value) is str else _content(value) for value in values]
    pack_head, number = SIZED.pack, int(kind)
    return [pack_head(number, len(text)) + text for text in texts]


def _packed(kind: Kind, values: Sequence[Any]) -> list[bytes]:
    if kind is Kind.UNIX_TIMESTAMP:
        values = [_seconds(value) for value in values]
    pack = KEY_NUMBERS[kind].pack
    width = KEY_NUMBERS[kind].size - SIZED.size
    return [pack(kind, width, int(value)) for value in values]


def _content(value: object) -> bytes:
    if value is None or value != value:
        raise ValueError("a join key is null")
    return value if isinstance(value, bytes) else str(value).encode()


def _seconds(value: object) -> object:
    """Return a datetime, also numpy's, as whole seconds since 1970; no zone is UTC."""
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return value.astype("datetime64[s]").astype(np.int64)
    if not isinstance(value, datetime):
        return value
    return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())


def entity_key(project: str, join_key: str, entity: str | int, version: int = 3) -> bytes:
    """Return the Redis key of an entity that has one join key, a string or an INT64."""
    kind = Kind.INT64 if isinstance(entity, int) else Kind.STRING
    return KeyLayout(project, {join_key: kind}, version).keys([[entity]])[0]


def join_keys_of(key: bytes, project: str) -> tuple[str, ...] | None:
    """Return the join keys of a project's Redis key, None for any other key; needs version 3."""
    try:
        (count,) = struct.unpack_from("<I", key)
        names, end = _sized_parts(key, 4, count)
        _, end = _sized_parts(key, end, count)
        return tuple(name.decode() for name in names) if key[end:] == project.encode() else None
    except (struct.error, UnicodeDecodeError):
        return None


def _sized_parts(key: bytes, start: int, count: int) -> tuple[list[bytes], int]:
    """Return `count` parts that follow their sizes, and where they end."""
    parts = []
    for _ in range(count):
        _, size = SIZED.unpack_from(key, start)
        start += SIZED.size
        parts.append(key[start : start + size])
        start += size
    return parts, start


def feature_field(view: str, feature: str) -> bytes:
    """Return the hash field of one feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def time_field(view: str) -> bytes:
    """Return the hash field of a view's event time."""
    return f"_ts:{view}".encode()


# ---- Values ----------------------------------------------------------------------------------

Decoder = Callable[[bytes], object]
INTEGERS = (Kind.INT32, Kind.INT64, Kind.BOOL)
FLOATS = {Kind.FLOAT: struct.Struct("<cf").unpack, Kind.DOUBLE: struct.Struct("<cd").unpack}


class WrongType(ValueError):
    """A stored value is not of the declared type."""


def decoder(kind: Kind) -> Decoder:
    """Return a function that decodes a stored Value as Feast's SDK does; None for a null.

    The function raises WrongType for anything but a null or a value of this type.
    """
    if kind in FLOATS:
        return _decode_float(kind)
    if kind is Kind.STRING:
        return _decode_text()
    decode = _decode_message(kind)
    # Counts are small and repeat often: a lookup is faster than parsing.
    return lru_cache(KNOWN)(decode) if kind in INTEGERS else decode


def _decode_float(kind: Kind) -> Decoder:
    unpack, tag = FLOATS[kind], kind.tag

    def decode(stored: bytes) -> object:
        try:
            found, value = unpack(stored)
        except struct.error:
            found = value = None
        if found != tag:
            _check_null(stored, kind)
            return None
        return value

    return decode


def _decode_text() -> Decoder:
    parse, tag = _decode_message(Kind.STRING), Kind.STRING.tag

    def decode(stored: bytes) -> object:
        """Parse texts of up to 127 bytes without protobuf, which takes four times as long."""
        if len(stored) < 2 or stored[:1] != tag or not stored[1] == len(stored) - 2 < 128:
            return parse(stored)
        try:
            return stored[2:].decode()
        except UnicodeDecodeError as error:
            raise WrongType(f"not a text: {error}") from error

    return decode


def _decode_message(kind: Kind) -> Decoder:
    from feast.protos.feast.types.Value_pb2 import Value

    parse, tag, name = Value.FromString, kind.tag, f"{kind.name.lower()}_val"
    finish = _FINISH.get(kind, list if kind.name.endswith("LIST") else None)

    def decode(stored: bytes) -> object:
        if not stored.startswith(tag):
            _check_null(stored, kind)
            return None
        try:
            content = getattr(parse(stored), name)
            return content if finish is None else finish(getattr(content, "val", content))
        except (DecodeError, OverflowError, ValueError) as error:
            raise WrongType(f"not a value of type {kind.name}: {error}") from error

    return decode


def _check_null(stored: bytes, kind: Kind) -> None:
    if stored not in NULLS:
        raise WrongType(f"not a value of type {kind.name}: {stored[:20]!r}")


def _instant(seconds: int) -> datetime | None:
    return None if seconds == NULL_TIME else datetime.fromtimestamp(seconds, UTC)


_FINISH: dict[Kind, Callable[..., object]] = {
    Kind.UNIX_TIMESTAMP: _instant,
    Kind.UNIX_TIMESTAMP_LIST: lambda values: [_instant(value) for value in values],
}


def decode_value(stored: bytes | None) -> Any:
    """Decode a feature of any type; None where it is missing or null, times as numbers."""
    from feast.protos.feast.types.Value_pb2 import Value

    if stored is None:
        return None
    value = Value.FromString(stored)
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    content = getattr(value, kind)
    return list(content.val) if kind.endswith("list_val") else content


def encode_time(event_time: datetime, created: datetime | None = None) -> bytes:
    """Encode the times of a row, each with a zone; a created time of NaT is the earliest."""
    timestamp = Timestamp()
    timestamp.FromDatetime(event_time)
    encoded: bytes = timestamp.SerializeToString()
    if created is None:
        return encoded
    is_null = created != created
    microseconds = NULL_TIME if is_null else (created - EPOCH) // timedelta(microseconds=1)
    return encoded + CREATED.pack(CREATED_TAG, microseconds)


@lru_cache(KNOWN)  # rows that were written together often have the same time
def decode_time(stored: bytes | None) -> datetime | None:
    """Decode the event time of a view's row; None where there is no row.

    Raises DecodeError or OverflowError where the field holds no time.
    """
    if stored is None:
        return None
    time = Timestamp.FromString(stored)
    return EPOCH + timedelta(0, time.seconds, time.nanos // 1000)
