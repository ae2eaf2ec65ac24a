"""A database of the store's Redis, for what is not features: the cache, its clock, its health."""

from collections.abc import Sequence
from typing import Any

from feast_plugins.redis_address import RedisAddress, pack
from feast_plugins.redis_tasks import RedisTasks
from lab.settings import settings

FEATURES, CACHE = 0, 1


class Database:
    """One connection for all tasks of the event loop.

    It asks once more on a connection that was lost: give it only what may be done twice.
    """

    def __init__(self, number: int, timeout_s: float) -> None:
        address = RedisAddress(settings.host, settings.redis_port, number)
        self._tasks = RedisTasks(address, timeout_s)

    async def ask(self, *commands: Sequence[bytes]) -> list[Any]:
        """The replies to all commands, in one round trip; raises RedisUnavailable, RedisTimeout."""
        return await self._tasks.ask(b"".join(map(pack, commands)), len(commands))

    def close(self) -> None:
        """Close the connection; what is outstanding is lost."""
        self._tasks.close()
