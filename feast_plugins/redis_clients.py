"""Read from a Redis Cluster, or from the master that a Sentinel names, with redis-py's clients.

A client sends the commands of each node together, so a read takes one round trip for each shard,
and follows a slot or a master that has moved. redis-py limits each wait by itself: in threads a
read that meets a failure may take several times the timeout.
"""

import asyncio
from collections.abc import Iterator
from threading import Lock
from types import ModuleType
from typing import Any

import hiredis
import redis
import redis.asyncio
from feast.infra.online_stores.redis import RedisOnlineStoreConfig, RedisType

from feast_plugins.online_errors import explained
from feast_plugins.redis_address import connection_options


def make_client(api: ModuleType, store: RedisOnlineStoreConfig, timeout_s: float) -> Any:
    """Return a client of `api`: redis, or redis.asyncio."""
    nodes, options = connection_options(store.connection_string)
    options |= {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if store.redis_type == RedisType.redis_cluster:
        startup = [api.cluster.ClusterNode(*node) for node in nodes]
        return api.RedisCluster(startup_nodes=startup, cluster_error_retry_attempts=1, **options)
    return api.Sentinel(nodes, **options).master_for(store.sentinel_master)


def unpacked(packed: bytes, count: int) -> Iterator[tuple[str | bytes, ...]]:
    """Yield the name and the arguments of each of `count` packed commands."""
    reader = hiredis.Reader()
    reader.feed(packed)
    for _ in range(count):
        name, *arguments = reader.gets()
        yield name.decode(), *arguments


def place_of(store: RedisOnlineStoreConfig) -> str:
    """Return the name of a cluster or Sentinel in errors."""
    return f"{store.redis_type.value} at {store.connection_string.split(',')[0]}"


class ClientPool:
    """Reads of any number of threads."""

    retries = 0  # redis-py does not count its own

    def __init__(self, store: RedisOnlineStoreConfig, timeout_s: float) -> None:
        self._store, self._timeout_s = store, timeout_s
        self._client: Any = None
        self._connecting = Lock()

    def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies; RedisTimeout, RedisUnavailable."""
        with explained(place_of(self._store), self._timeout_s):
            pipeline = self._opened().pipeline(transaction=False)
            for command in unpacked(packed, count):
                pipeline.execute_command(*command)
            replies: list[Any] = pipeline.execute()
            return replies

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()

    def _opened(self) -> Any:
        with self._connecting:
            if self._client is None:
                self._client = make_client(redis, self._store, self._timeout_s)
            return self._client


class ClientTasks:
    """Reads of the tasks of one event loop."""

    retries = 0

    def __init__(self, store: RedisOnlineStoreConfig, timeout_s: float) -> None:
        self._store, self._timeout_s = store, timeout_s
        self._client: Any = None

    async def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Do the same in asyncio, `timeout_s` in all."""
        with explained(place_of(self._store), self._timeout_s):
            async with asyncio.timeout(self._timeout_s):
                if self._client is None:
                    self._client = make_client(redis.asyncio, self._store, self._timeout_s)
                pipeline = self._client.pipeline(transaction=False)
                for command in unpacked(packed, count):
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute()
                return replies

    def close(self) -> None:
        """Close all connections, in their event loop."""
        if self._client is not None:
            self._closing = asyncio.ensure_future(self._client.aclose())
