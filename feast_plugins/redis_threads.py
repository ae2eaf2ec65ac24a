"""Read from Redis in threads, over redis-py's connections, which limit each wait.

A connection that was lost is replaced and its commands are sent once more, so send only read
commands here. redis-py's own pool polls a connection before each use, which takes longer than
the rest of a read.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock
from typing import Any

import redis

from feast_plugins.online_errors import explained

# Threads that wait for a connection starve: with 16, p99 of 50 threads was 8 times as long.
POOL_SIZE = 64


class RedisPool:
    """At most POOL_SIZE connections, which `make` returns, for any number of threads.

    `place` is the name of this Redis in errors.
    """

    def __init__(self, make: Callable[[], Any], place: str, timeout_s: float) -> None:
        self.retries = 0
        self._retried = Lock()
        self._make, self._place, self._timeout_s = make, place, timeout_s
        self._idle: list[Any] = []
        self._places = SimpleQueue[None]()
        for _ in range(POOL_SIZE):
            self._places.put(None)

    def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies; RedisTimeout, RedisUnavailable."""
        with explained(self._place, self._timeout_s):
            self._places.get(timeout=self._timeout_s)
            try:
                return self._fetch(packed, count)
            finally:
                self._places.put(None)

    def _fetch(self, packed: bytes, count: int) -> list[Any]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._make()
        try:
            replies = self._replies(connection, packed, count)
        except BaseException:
            connection.disconnect()  # replies are outstanding
            raise
        self._idle.append(connection)
        return replies

    def _replies(self, connection: Any, packed: bytes, count: int) -> list[Any]:
        try:
            return _replies(connection, packed, count)
        except redis.ConnectionError:
            with self._retried:
                self.retries += 1
        return _replies(connection, packed, count)  # connects again

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().disconnect()


def _replies(connection: Any, packed: bytes, count: int) -> list[Any]:
    connection.send_packed_command([packed])
    return [connection.read_response() for _ in range(count)]
