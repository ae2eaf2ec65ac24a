"""Encodes whole columns into Feast's Redis bytes: the same bytes, without an object per value."""

import struct
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from feast import ValueType
from feast.type_map import python_values_to_proto_values
from google.protobuf.timestamp_pb2 import Timestamp

from feast_plugins.redis_encoding import Kind

# Tags of the fields of Feast's protobuf Value: field number times 8, plus the wire type.
FLOAT_TAG, DOUBLE_TAG = 6 * 8 + 5, 5 * 8 + 1
NULL = b""


def encode_features(column: pa.Array, declared: ValueType) -> list[bytes]:
    """A feature's column as serialized Values; a null or NaN is Feast's null, no bytes."""
    if declared is ValueType.FLOAT:
        return _floats(column.cast(pa.float32()), np.dtype("<f4"), FLOAT_TAG)
    if declared is ValueType.DOUBLE:
        return _floats(column.cast(pa.float64()), np.dtype("<f8"), DOUBLE_TAG)
    return _by_distinct_value(column, lambda values: _serialized(values, declared))


def encode_times(column: pa.Array) -> list[bytes]:
    """Event times, in UTC, as serialized Timestamps."""
    microseconds = column.cast(pa.timestamp("us")).cast(pa.int64())
    return _by_distinct_value(microseconds, lambda values: [_timestamp(v) for v in values])


def entity_keys(project: str, columns: dict[str, pa.Array], version: int) -> list[bytes]:
    """The Redis key of each row's entity, from its join keys, which are strings or integers."""
    names = sorted(columns)
    encoded = [name.encode() for name in names]
    sized = [struct.pack("<II", Kind.STRING, len(name)) + name for name in encoded]
    bare = [struct.pack("<I", Kind.STRING) + name for name in encoded]
    head = struct.pack("<I", len(names)) + b"".join(sized) if version >= 3 else b"".join(bare)
    values = [_key_values(columns[name]) for name in names]
    tail = project.encode()
    if len(values) == 1:
        return [head + value + tail for value in values[0]]
    return [head + b"".join(parts) + tail for parts in zip(*values, strict=True)]


def _key_values(column: pa.Array) -> list[bytes]:
    if pa.types.is_integer(column.type):
        kind = ValueType.INT32 if column.type == pa.int32() else ValueType.INT64
        width, code = (4, "i") if kind is ValueType.INT32 else (8, "q")
        return [struct.pack(f"<II{code}", kind.value, width, v) for v in column.to_pylist()]
    texts = [text.encode() for text in column.to_pylist()]
    return [struct.pack("<II", Kind.STRING, len(text)) + text for text in texts]


def _floats(
    column: pa.Array, dtype: "np.dtype[np.float32] | np.dtype[np.float64]", tag: int
) -> list[bytes]:
    numbers = column.to_numpy(zero_copy_only=False).astype(dtype)
    width = dtype.itemsize + 1
    cells = np.empty((len(numbers), width), dtype=np.uint8)
    cells[:, 0] = tag
    cells[:, 1:] = numbers.view(np.uint8).reshape(len(numbers), dtype.itemsize)
    content = cells.tobytes()
    encoded = [content[at : at + width] for at in range(0, len(content), width)]
    for place in np.flatnonzero(np.isnan(numbers)):
        encoded[place] = NULL
    return encoded


def _by_distinct_value(
    column: pa.Array, encode: Callable[[list[object]], Sequence[bytes]]
) -> list[bytes]:
    """Encode each distinct value once, by Feast's own function where it matters."""
    if pa.types.is_nested(column.type):
        return list(encode(column.to_pylist()))
    dictionary = column.dictionary_encode()
    encoded = [*encode(dictionary.dictionary.to_pylist()), NULL]
    places = dictionary.indices.fill_null(len(encoded) - 1)
    return [encoded[place] for place in places.to_pylist()]


def _serialized(values: list[object], declared: ValueType) -> list[bytes]:
    return [v.SerializeToString() for v in python_values_to_proto_values(values, declared)]


def _timestamp(microseconds: object) -> bytes:
    assert isinstance(microseconds, int)
    message = Timestamp()
    message.FromMicroseconds(microseconds)
    content: bytes = message.SerializeToString()
    return content
