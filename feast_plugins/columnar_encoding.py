"""Encodes whole columns into Feast's Redis bytes: the same bytes, without an object per value.

The vectorised half of redis_encoding: cells are laid out side by side in numpy, joined in Arrow.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feast_plugins.redis_encoding import (
    CREATED_TAG,
    KEY_CONTENTS,
    KEY_NUMBERS,
    NULL,
    NULL_TIME,
    SIZED,
    KeyLayout,
    Kind,
    encode_varint,
)

if TYPE_CHECKING:
    from feast import ValueType

# The bytes of each row, and a mask of the rows that have any.
Cells: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.bool_]]

INTEGERS = {Kind.INT32: pa.int32(), Kind.INT64: pa.int64(), Kind.BOOL: pa.bool_()}
FLOATS = {Kind.FLOAT: np.dtype("<f4"), Kind.DOUBLE: np.dtype("<f8")}
SECONDS_TAG, NANOS_TAG = b"\x08", b"\x10"  # the fields of a protobuf Timestamp


def encode_features(column: pa.Array, declared: "ValueType | Kind") -> list[bytes]:
    """Encode a feature's column as serialized Values; a null or NaN becomes Feast's null, no bytes.

    Raises ValueError for a number that the declared type cannot hold; the message names it.
    """
    kind = Kind(declared.value)
    if kind in INTEGERS:
        return _as_list(_integers(column, kind))
    if kind in FLOATS:
        return _as_list(_floats(column, kind))
    if kind in (Kind.STRING, Kind.BYTES):
        content = _binary(column)
        return _as_list(
            _joined(_heads(content, lambda size: kind.tag + encode_varint(size)), content)
        )
    if kind is Kind.UNIX_TIMESTAMP:
        return _as_list(_instants(column))
    from feast.type_map import python_values_to_proto_values  # plain types need no Feast

    values = python_values_to_proto_values(column.to_numpy(zero_copy_only=False), declared)
    return [value.SerializeToString() for value in values]


def encode_times(column: pa.Array, created: pa.Array | None = None) -> list[bytes]:
    """Encode event times, in UTC, with their created times; a null of these is the earliest.

    Raises ValueError for a null event time.
    """
    if column.null_count:
        raise ValueError(f"{column.null_count} event times are null")
    seconds, rest = np.divmod(_microseconds(column), 1_000_000)
    cells = [*_but_zero(SECONDS_TAG, seconds), *_but_zero(NANOS_TAG, rest * 1000)]
    if created is not None:
        cells += [_constant(CREATED_TAG, len(created)), _fixed(_microseconds(created))]
    return _as_list(_cut(*cells))


def entity_keys(
    project: str, columns: Mapping[str, pa.Array], version: int, kinds: Mapping[str, Kind]
) -> list[bytes]:
    """Return the Redis key of each row's entity, from its join keys and their declared types."""
    layout = KeyLayout(project, kinds, version)
    values = [_key_values(columns[name], kinds[name]) for name in layout.join_keys]
    return _as_list(_joined(layout.head, *values, project.encode()))


def _key_values(column: pa.Array, kind: Kind) -> pa.Array:
    if kind in KEY_CONTENTS:
        content = _binary(column)
        return _joined(_heads(content, lambda size: SIZED.pack(kind, size)), content)
    is_time = kind is Kind.UNIX_TIMESTAMP
    numbers = _seconds(column) if is_time else _cast(column, INTEGERS[kind]).to_numpy()
    head = SIZED.pack(kind, KEY_NUMBERS[kind].size - SIZED.size)
    return _cut(_constant(head, len(numbers)), _fixed(numbers))


# ---- Values ----------------------------------------------------------------------------------


def _integers(column: pa.Array, kind: Kind) -> pa.Array:
    if pa.types.is_floating(column.type):  # integers with nulls, as pandas writes them
        column = pc.if_else(pc.is_nan(column), None, column)
    if kind is Kind.BOOL:
        column = _cast(column, pa.int64()).cast(pa.bool_())
    column = _cast(column, INTEGERS[kind]).cast(pa.int64())
    numbers = column.fill_null(0).to_numpy()
    encoded = _cut(_constant(kind.tag, len(numbers)), _varints(numbers))
    return pc.if_else(column.is_valid(), encoded, NULL)


def _floats(column: pa.Array, kind: Kind) -> pa.Array:
    numbers = column.to_numpy(zero_copy_only=False).astype(FLOATS[kind])
    encoded = _cut(_constant(kind.tag, len(numbers)), _fixed(numbers))
    return pc.if_else(pa.array(~np.isnan(numbers)), encoded, NULL)


def _instants(column: pa.Array) -> pa.Array:
    """Return seconds since 1970; a null becomes numpy's NaT, as in Feast."""
    seconds = _seconds(column)
    return _cut(_constant(Kind.UNIX_TIMESTAMP.tag, len(seconds)), _varints(seconds))


def _seconds(column: pa.Array) -> NDArray[np.int64]:
    times: NDArray[np.datetime64] = column.to_numpy(zero_copy_only=False).astype("datetime64[s]")
    return times.astype(np.int64)


def _microseconds(column: pa.Array) -> NDArray[np.int64]:
    times = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    microseconds: NDArray[np.int64] = times.fill_null(NULL_TIME).to_numpy()
    return microseconds


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast numbers without a loss; raise ValueError with the first value that does not fit."""
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        wrong = next(value for value in column if not _has_place(value, kind))
        raise ValueError(f"{wrong.as_py()} has no place in {kind}") from error


def _has_place(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _binary(column: pa.Array) -> pa.Array:
    if pa.types.is_large_binary(column.type) or pa.types.is_fixed_size_binary(column.type):
        return column.cast(pa.binary())
    if pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
        column = pa.array(map(_text, column.to_pylist()), pa.string())  # 2.0 is not Arrow's 2
    return column if column.type == pa.binary() else column.cast(pa.string()).cast(pa.binary())


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _heads(content: pa.Array, head: Callable[[int], bytes]) -> pa.Array:
    """Return the bytes before each text, by its length."""
    lengths = pc.binary_length(content).dictionary_encode()
    heads = pa.array([head(length) for length in lengths.dictionary.to_pylist()], pa.binary())
    return heads.take(lengths.indices)


# ---- Cells -----------------------------------------------------------------------------------


def _constant(content: bytes, rows: int) -> Cells:
    cells = np.broadcast_to(np.frombuffer(content, np.uint8), (rows, len(content)))
    return cells, np.ones(cells.shape, np.bool_)


def _fixed(numbers: NDArray[np.generic]) -> Cells:
    """Return numbers as their bytes in memory."""
    cells = np.ascontiguousarray(numbers)[:, None].view(np.uint8)
    return cells, np.ones(cells.shape, np.bool_)


def _varints(numbers: NDArray[np.int64]) -> Cells:
    """Return numbers in protobuf's wire format: seven bits a byte, the lowest first."""
    unsigned = numbers.view(np.uint64)
    width = max(1, -(-int(unsigned.max(initial=0)).bit_length() // 7))
    rest = unsigned[:, None] >> np.arange(0, 7 * width, 7, dtype=np.uint64)
    used = rest > 0
    used[:, 0] = True
    cells = (rest & 127).astype(np.uint8)
    cells[:, :-1] += np.uint8(128) * used[:, 1:]
    return cells, used


def _but_zero(tag: bytes, numbers: NDArray[np.int64]) -> tuple[Cells, Cells]:
    """Return a field of a message; protobuf leaves it out where it is zero."""
    has = (numbers != 0)[:, None]
    (tags, _), (cells, used) = _constant(tag, len(numbers)), _varints(numbers)
    return (tags, has), (cells, used & has)


def _cut(*parts: Cells) -> pa.Array:
    """Return each row's cells as one value."""
    cells = np.concatenate([cells for cells, _ in parts], axis=1)
    used = np.concatenate([used for _, used in parts], axis=1)
    offsets = np.zeros(len(cells) + 1, np.int32)
    np.cumsum(used.sum(axis=1), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(cells[used])]
    return pa.Array.from_buffers(pa.binary(), len(cells), buffers)


def _joined(*parts: pa.Array | bytes) -> pa.Array:
    """Join values; null where one of them is null."""
    return pc.binary_join_element_wise(*parts, NULL)


def _as_list(values: pa.Array) -> list[bytes]:
    content: list[bytes] = values.fill_null(NULL).to_numpy(zero_copy_only=False).tolist()
    return content
