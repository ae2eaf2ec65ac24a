"""Write encoded rows to Redis by the compare-and-write script, many runs of it in flight."""

from collections.abc import Sequence
from itertools import chain
from types import TracebackType
from typing import Self

import redis

from feast_plugins.redis_address import pack
from feast_plugins.redis_encoding import feature_field, time_field
from feast_plugins.redis_online_store import WRITE_UNLESS_OLDER, rows_per_script

RUNS_IN_FLIGHT = 16


class RowWriter:
    """Writer of one view's rows; a context manager that holds one connection.

    Commands are packed by hand: the client's own packing takes longer than Redis does.
    """

    def __init__(
        self, client: redis.Redis, view: str, features: Sequence[str], ttl_seconds: int
    ) -> None:
        self._client = client
        fields = [feature_field(view, feature) for feature in features]
        sizes = (str(ttl_seconds).encode(), str(len(fields)).encode())
        self._header = [time_field(view), *sizes, *fields]
        self._rows_at_once = rows_per_script(len(fields))
        self._in_flight = 0

    def __enter__(self) -> Self:
        sha = self._client.script_load(WRITE_UNLESS_OLDER)
        self._sha = sha if isinstance(sha, bytes) else str(sha).encode()
        self._connection = self._client.connection_pool.get_connection()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is not None:
            self._connection.disconnect()  # replies are outstanding
        self._client.connection_pool.release(self._connection)

    def write(
        self, keys: Sequence[bytes], times: Sequence[bytes], columns: Sequence[Sequence[bytes]]
    ) -> None:
        """Send rows, given by column; raises redis.ResponseError when Redis rejects them."""
        rows = zip(times, *columns, strict=True)
        cells = list(chain.from_iterable(rows))
        width = len(columns) + 1
        for start in range(0, len(keys), self._rows_at_once):
            chunk = keys[start : start + self._rows_at_once]
            values = cells[start * width : (start + len(chunk)) * width]
            command = [b"EVALSHA", self._sha, b"%d" % len(chunk), *chunk, *self._header, *values]
            self._connection.send_packed_command([pack(command)])
            self._in_flight += 1
            self._await_replies(RUNS_IN_FLIGHT)

    def finish(self) -> None:
        """Wait until Redis has answered all commands."""
        self._await_replies(0)

    def _await_replies(self, leave: int) -> None:
        while self._in_flight > leave:
            self._in_flight -= 1
            self._connection.read_response()
