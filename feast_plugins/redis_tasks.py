"""Read from Redis in asyncio, over redis-py's connections.

A connection that was lost is replaced and its commands are sent once more, so send only read
commands here. redis-py's own pool polls a connection before each use, which takes longer than
the rest of a read.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import redis

from feast_plugins.online_errors import explained
from feast_plugins.redis_clients import ClusterTasks
from feast_plugins.redis_threads import POOL_SIZE


class LoopPool:
    """At most POOL_SIZE connections, which `make` returns, for the tasks of one event loop."""

    def __init__(self, make: Callable[[], Any], place: str, timeout_s: float) -> None:
        self.retries = 0
        self._make, self._place, self._timeout_s = make, place, timeout_s
        self._idle: list[Any] = []
        self._places = asyncio.Semaphore(POOL_SIZE)

    async def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies, `timeout_s` in all.

        Raises RedisTimeout, RedisUnavailable.
        """
        with explained(self._place, self._timeout_s):
            async with asyncio.timeout(self._timeout_s), self._places:
                connection = self._idle.pop() if self._idle else self._make()
                try:
                    replies = await self._fetch(connection, packed, count)
                except BaseException:
                    await connection.disconnect(nowait=True)  # replies are outstanding
                    raise
                self._idle.append(connection)
                return replies

    async def _fetch(self, connection: Any, packed: bytes, count: int) -> list[Any]:
        await connection.connect()
        try:
            return await _replies(connection, packed, count)
        except redis.ConnectionError:
            self.retries += 1
        return await _replies(connection, packed, count)  # connects again

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


async def _replies(connection: Any, packed: bytes, count: int) -> list[Any]:
    await connection.send_packed_command([packed])
    return [await connection.read_response() for _ in range(count)]


class RedisTasks:
    """Reads of the tasks of any number of event loops, each by a reader that `make` returns."""

    def __init__(self, make: Callable[[], LoopPool | ClusterTasks]) -> None:
        self._make = make
        self._readers: dict[asyncio.AbstractEventLoop, LoopPool | ClusterTasks] = {}

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
                asyncio.run_coroutine_threadsafe(reader.close(), loop)
