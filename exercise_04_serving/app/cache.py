"""A cache of batch features in database 1 of Redis.

The fill race: a request reads an old value, a materialization writes a new one and empties the
cache, and the request then stores its old value, which stays for the TTL. So nothing is emptied
here. The cache version, a counter that exercise 3 increments after each materialization, is part of
every key, and a request reads it *before* the features: a value that was read before the increment
is stored under a key that no later request looks up.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from redis import OutOfMemoryError
from redis.asyncio import BlockingConnectionPool, Redis

from lab.learn import settings

Features = dict[str, float | None]  # by name; None is unknown

TTL_S = 300  # bounds what the version does not record, such as a run of `feast materialize`
log = logging.getLogger(__name__)


class FeatureCache:
    """Features of users and merchants by cache version, entity and id."""

    def __init__(self, project: str) -> None:
        self.online_store, self.entries = connect(0), connect(1)
        self._version_key = f"materialization_runs:{project}"

    async def version(self) -> str:
        """Return the cache version; "0" before the first materialization."""
        return await self.online_store.get(self._version_key) or "0"

    async def get_many(self, version: str, entity: str, ids: Sequence[str]) -> dict[str, Features]:
        """Return the features of those ids that are in the cache."""
        found = await self.entries.mget([f"features:{version}:{entity}:{one}" for one in ids])
        return {one: json.loads(text) for one, text in zip(ids, found, strict=True) if text}

    async def set_many(self, version: str, entity: str, rows: Mapping[str, Features]) -> None:
        """Store features for TTL_S. A full Redis still answers reads, so only log its refusal."""
        pipeline = self.entries.pipeline(transaction=False)
        for one, features in rows.items():
            pipeline.set(f"features:{version}:{entity}:{one}", json.dumps(features), ex=TTL_S)
        try:
            await pipeline.execute()
        except OutOfMemoryError as error:
            log.warning("features are not cached: %s", error)


def connect(db: int) -> Any:
    """Return an asynchronous client; above 32 connections a request waits for a free one."""
    limits = {"max_connections": 32, "timeout": None, "socket_timeout": 1}
    address = {"host": settings.host, "port": settings.redis_port, "db": db}
    return Redis.from_pool(BlockingConnectionPool(**address, **limits, decode_responses=True))
