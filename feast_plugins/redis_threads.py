"""Read from Redis in threads: a bounded pool of connections, every wait bounded.

A connection that was lost is replaced and its commands are sent once more, so send only read
commands here.
"""

import socket
from queue import Empty, LifoQueue
from threading import Lock
from time import monotonic
from typing import Any

import hiredis

from feast_plugins.online_errors import explained
from feast_plugins.redis_address import RedisAddress, first_error, parsed

RECEIVE_BYTES = 64 * 1024
POOL_SIZE = 16


class Connection:
    """A connection for one thread at a time."""

    def __init__(self, address: RedisAddress, deadline: float) -> None:
        self._reader = hiredis.Reader()
        self._socket = socket.create_connection((address.host, address.port), _left(deadline))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (security := address.security) is not None:
            self._socket = security.wrap_socket(self._socket, server_hostname=address.host)
        self.fetch(*address.greeting, deadline)

    def fetch(self, packed: bytes, count: int, deadline: float) -> list[Any]:
        """Send `count` commands and wait for their replies; close the connection on an error.

        Raises OSError, hiredis.HiredisError.
        """
        replies: list[Any] = []
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(packed)
            while len(replies) < count:
                replies.extend(parsed(self._reader, self._receive(deadline)))
            if error := first_error(replies):
                raise error
        except BaseException:
            self.close()
            raise
        return replies

    def close(self) -> None:
        """Close the socket; outstanding replies are lost."""
        self._socket.close()

    def _receive(self, deadline: float) -> bytes:
        self._socket.settimeout(_left(deadline))
        received = self._socket.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionResetError("it closed the connection")
        return received


class RedisPool:
    """At most POOL_SIZE connections, shared by any number of threads."""

    def __init__(self, address: RedisAddress, timeout_s: float) -> None:
        self.retries = 0
        self._retried = Lock()
        self._address = address
        self._timeout_s = timeout_s
        self._places: LifoQueue[Connection | None] = LifoQueue()
        for _ in range(POOL_SIZE):
            self._places.put(None)

    def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies, `timeout_s` in all.

        Raises RedisTimeout, RedisUnavailable.
        """
        with explained(self._address.place, self._timeout_s):
            deadline = monotonic() + self._timeout_s
            used = None
            place = self._place()
            try:
                used, replies = self._fetch(place, packed, count, deadline)
            finally:
                self._places.put(used)
        return replies

    def close(self) -> None:
        """Close the idle connections."""
        for _ in range(POOL_SIZE):
            if (connection := self._place()) is not None:
                connection.close()
            self._places.put(None)

    def _place(self) -> Connection | None:
        try:
            return self._places.get(timeout=self._timeout_s)
        except Empty as error:
            raise TimeoutError from error

    def _fetch(
        self, idle: Connection | None, packed: bytes, count: int, deadline: float
    ) -> tuple[Connection, list[Any]]:
        """Return the replies and their connection: `idle`, or a new one if it was lost."""
        if idle is not None:
            try:
                return idle, idle.fetch(packed, count, deadline)
            except ConnectionError:
                with self._retried:
                    self.retries += 1
        fresh = Connection(self._address, deadline)
        return fresh, fresh.fetch(packed, count, deadline)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
