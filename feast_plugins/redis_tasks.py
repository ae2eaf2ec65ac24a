"""Read from Redis in asyncio: one connection for an event loop, shared by all its tasks.

Replies come in the order of the commands, so tasks need not wait for each other. A connection that
was lost is replaced and its commands are sent once more, so send only read commands here.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import hiredis

from feast_plugins.online_errors import explained
from feast_plugins.redis_address import RedisAddress, first_error, parsed


class SharedConnection(asyncio.Protocol):
    """A connection on which many tasks may send commands at once."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._pending: deque[tuple[asyncio.Future[list[Any]], int, list[Any]]] = deque()
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Return True while commands may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies; OSError or hiredis.HiredisError."""
        if not count:
            return []
        if not self.is_open:
            raise ConnectionResetError("it closed the connection")
        assert self._transport is not None
        future = asyncio.get_running_loop().create_future()
        self._pending.append((future, count, []))
        self._transport.write(packed)
        replies: list[Any] = await future
        if error := first_error(replies):
            raise error
        return replies

    def close(self) -> None:
        """Close the transport; outstanding replies are lost."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport  # uvloop's is no subclass of asyncio.Transport

    def data_received(self, data: bytes) -> None:
        try:
            for reply in parsed(self._reader, data):
                future, count, replies = self._pending[0]
                replies.append(reply)
                if len(replies) == count:
                    self._pending.popleft()
                    if not future.done():  # its task may have been cancelled
                        future.set_result(replies)
        except hiredis.ProtocolError as error:
            self.connection_lost(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        while self._pending:
            future, _, _ = self._pending.popleft()
            if not future.done():
                future.set_exception(ConnectionResetError(exc or "it closed the connection"))


class LoopReader:
    """Reads of the tasks of one event loop, over a connection made when it is needed."""

    def __init__(self, address: RedisAddress, timeout_s: float) -> None:
        self.retries = 0
        self._address = address
        self._timeout_s = timeout_s
        self._connection: SharedConnection | None = None
        self._connecting = asyncio.Lock()

    async def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies, `timeout_s` in all.

        Raises RedisTimeout, RedisUnavailable.
        """
        connection = None
        with explained(self._address.place, self._timeout_s):
            try:
                async with asyncio.timeout(self._timeout_s):
                    connection = await self._open()
                    try:
                        return await connection.fetch(packed, count)
                    except ConnectionResetError:
                        self.retries += 1
                    connection = await self._open()
                    return await connection.fetch(packed, count)
            except TimeoutError:
                self._retire(connection)
                raise

    def close(self) -> None:
        """Close the connection; outstanding replies are lost."""
        if self._connection is not None:
            self._connection.close()

    async def _open(self) -> SharedConnection:
        if self._connection is not None and self._connection.is_open:
            return self._connection
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                self._connection = await _connect(self._address)
            return self._connection

    def _retire(self, late: SharedConnection | None) -> None:
        """Send nothing more on a late connection; close it when its last task has given up."""
        if late is not None and late is self._connection:
            self._connection = None
            asyncio.get_running_loop().call_later(self._timeout_s, late.close)


async def _connect(address: RedisAddress) -> SharedConnection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        SharedConnection, address.host, address.port, ssl=address.security
    )
    try:
        await connection.fetch(*address.greeting)
    except BaseException:
        connection.close()
        raise
    return connection


class TaskReader(Protocol):
    """Reads of the tasks of one event loop."""

    @property
    def retries(self) -> int: ...
    async def fetch(self, packed: bytes, count: int) -> list[Any]: ...
    def close(self) -> None: ...


class RedisTasks:
    """Reads of the tasks of any number of event loops, each by a reader that `make` returns."""

    def __init__(self, make: Callable[[], TaskReader]) -> None:
        self._make = make
        self._readers: dict[asyncio.AbstractEventLoop, TaskReader] = {}

    @property
    def retries(self) -> int:
        """Return the number of repeated reads on the running loops."""
        return sum(reader.retries for reader in self._readers.values())

    async def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send commands by the reader of the running loop."""
        loop = asyncio.get_running_loop()
        reader = self._readers.get(loop)
        if reader is None:
            self._readers = {
                other: known for other, known in self._readers.items() if not other.is_closed()
            }
            reader = self._readers[loop] = self._make()
        return await reader.fetch(packed, count)

    def close(self) -> None:
        """Close every connection; outstanding replies are lost."""
        for loop, reader in self._readers.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(reader.close)
