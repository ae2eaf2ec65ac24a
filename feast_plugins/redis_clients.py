"""redis-py's connections to a Redis or a Sentinel's master, and reads from a Redis Cluster.

A client of a cluster sends the commands of each node together, so a read takes one round trip for
each shard, and follows a slot or a master that has moved.
"""

import asyncio
from collections.abc import Callable
from functools import cached_property, partial
from types import ModuleType
from typing import Any

import hiredis
import redis
import redis.asyncio
from feast.infra.online_stores.redis import RedisOnlineStoreConfig, RedisType

from feast_plugins.online_errors import RedisUnavailable, explained
from feast_plugins.redis_address import reader_options


def connection_maker(
    api: ModuleType, store: RedisOnlineStoreConfig, **waits: float
) -> Callable[[], Any]:
    """Return a function that makes connections to one Redis, or to a Sentinel's master.

    `api` is redis or redis.asyncio. The connections retry nothing.
    """
    nodes, options = reader_options(store.connection_string)
    if store.redis_type == RedisType.redis_sentinel:
        master = api.Sentinel(nodes, **options, **waits).master_for(store.sentinel_master)
        make: Callable[[], Any] = master.connection_pool.make_connection
        return make
    if len(nodes) != 1:
        raise RedisUnavailable(f"connection_string has {len(nodes)} nodes: give one host:port")
    host, port = nodes[0]
    kind = api.SSLConnection if options.pop("ssl", False) else api.Connection
    return partial(kind, host=host, port=port, lib_name=None, lib_version=None, **options, **waits)


def place_of(store: RedisOnlineStoreConfig) -> str:
    """Return the name of a Redis, a cluster or a Sentinel in errors."""
    (host, port), *_ = reader_options(store.connection_string)[0]
    return f"{store.redis_type.value.replace('_', ' ').capitalize()} at {host}:{port}"


class _ClusterReads:
    api: ModuleType
    retries = 0  # redis-py does not count its own

    def __init__(self, store: RedisOnlineStoreConfig, place: str, timeout_s: float) -> None:
        self._store, self._place, self._timeout_s = store, place, timeout_s

    @cached_property
    def _client(self) -> Any:
        """Return a client, made by the first read."""
        nodes, options = reader_options(self._store.connection_string)
        waits = {"socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s}
        startup = [self.api.cluster.ClusterNode(*node) for node in nodes]
        return self.api.RedisCluster(
            startup_nodes=startup, cluster_error_retry_attempts=1, **options, **waits
        )


class ClusterPool(_ClusterReads):
    """Reads of any number of threads from a cluster."""

    api = redis

    def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and wait for their replies; RedisTimeout, RedisUnavailable."""
        with explained(self._place, self._timeout_s):
            replies: list[Any] = _pipeline(self._client, packed, count).execute()
            return replies

    def close(self) -> None:
        """Close all connections."""
        if "_client" in vars(self):
            self._client.close()


class ClusterTasks(_ClusterReads):
    """Reads of the tasks of one event loop from a cluster."""

    api = redis.asyncio

    async def fetch(self, packed: bytes, count: int) -> list[Any]:
        """Do the same in asyncio, `timeout_s` in all."""
        with explained(self._place, self._timeout_s):
            async with asyncio.timeout(self._timeout_s):
                replies: list[Any] = await _pipeline(self._client, packed, count).execute()
                return replies

    async def close(self) -> None:
        """Close all connections."""
        if "_client" in vars(self):
            await self._client.aclose()


def _pipeline(client: Any, packed: bytes, count: int) -> Any:
    """Return a pipeline of `count` packed commands, which the client sends to their nodes."""
    reader = hiredis.Reader()
    reader.feed(packed)
    pipeline = client.pipeline(transaction=False)
    for _ in range(count):
        name, *arguments = reader.gets()
        pipeline.execute_command(name.decode(), *arguments)
    return pipeline
