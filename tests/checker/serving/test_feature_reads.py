"""A command reads stored features unless it is known not to, whatever its name."""

import pytest

from checker.serving.feature_reads import StoredFeatures
from checker.serving.redis_monitor import Command

KEY, FIELD = b"\x02user\x00->7", b"\x01\x02"
STORED = StoredFeatures(frozenset({KEY}), frozenset({FIELD}))


@pytest.mark.parametrize(
    ("reads", "name", "arguments"),
    [
        (True, "HMGET", (KEY, FIELD)),
        (False, "HMGET", (KEY, b"of a streaming view")),
        (True, "HGETALL", (KEY,)),
        (True, "SORT", (b"one", b"BY", b"nosort", b"GET", b"user->" + FIELD)),
        (True, "DUMP", (KEY,)),
        (True, "MIGRATE", (b"127.0.0.1", b"7000", KEY, b"0", b"1000")),
        (False, "EXISTS", (KEY,)),
        (False, "HSET", (KEY, FIELD, b"1")),
        (False, "GET", (b"cache:user",)),
    ],
)
def test_what_reads_features(reads: bool, name: str, arguments: tuple[bytes, ...]) -> None:
    stored = StoredFeatures(STORED.keys | {b"user"}, STORED.fields)
    assert bool(stored.read_by([Command(0, "client", name, arguments)])) is reads
    assert not stored.read_by([Command(1, "client", name, arguments)])
