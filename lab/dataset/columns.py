"""Arrays of numbers as the Arrow columns of the raw tables."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lab.dataset.draws import Flags, Integers, Keys
from lab.dataset.tables import UTC_MICROSECONDS

HEXADECIMAL = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
PREFIX = b"txn_"


def id_column(kind: str, numbers: Integers) -> pa.Array:
    """Return ids such as user_0, user_1."""
    used = np.zeros(numbers.max(initial=-1) + 1, dtype=bool)
    used[numbers] = True
    names = pc.binary_join_element_wise(
        kind, pc.cast(pa.array(np.flatnonzero(used)), pa.string()), "_"
    )
    return names.take(pa.array((np.cumsum(used) - 1)[numbers]))


def transaction_id_column(keys: Keys) -> pa.Array:
    """Return txn_ and the key's 16 hexadecimal digits."""
    pairs = keys.astype(">u8").view(np.uint8).reshape(-1, 8)
    width = len(PREFIX) + 16
    text = np.empty((len(keys), width), dtype=np.uint8)
    text[:, : len(PREFIX)] = np.frombuffer(PREFIX, dtype=np.uint8)
    text[:, len(PREFIX) :: 2] = HEXADECIMAL[pairs >> 4]
    text[:, len(PREFIX) + 1 :: 2] = HEXADECIMAL[pairs & 15]
    ends = np.arange(0, (len(keys) + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(ends), pa.py_buffer(text))


def time_column(microseconds: Integers, unknown: Flags | None = None) -> pa.Array:
    """Return microseconds since 1970 as UTC timestamps."""
    return pa.array(microseconds, mask=unknown).cast(UTC_MICROSECONDS)
