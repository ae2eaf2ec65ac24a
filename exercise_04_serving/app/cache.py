"""A cache of batch features in database 1 of Redis.

The fill race: a request reads an old value, a materialization writes a new one and empties the
cache, and the request then stores its old value for the TTL. So nothing is emptied here. Exercise 3
increments the cache version after each materialization. The version is part of every key, and a
request reads it *before* the features: no later request looks up the key of an old value.
"""

import json
import logging
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis import OutOfMemoryError
from redis.asyncio import BlockingConnectionPool, Redis

from lab.learn import settings

Features = dict[str, float | None]  # by name; None is unknown
Key = tuple[str, str]  # a join key, such as user_id, and its value

MAX_WAIT_S = 60  # of a request for a connection
TTL_S = 300  # bounds what the version does not record, such as a run of `feast materialize`
log = logging.getLogger("uvicorn.error")


class FeatureCache:
    """Features of users and merchants by cache version and key."""

    def __init__(self, project: str, features: Sequence[str] = ()) -> None:
        self.online_store, self.entries = connect(0), connect(1)
        self._version_key = f"materialization_runs:{project}"
        self._features_id = zlib.crc32(" ".join(features).encode())  # of another service: others

    async def version(self) -> str:
        """Return the cache version: the number of materializations, and whose features."""
        return f"{await self.online_store.get(self._version_key) or 0}:{self._features_id:x}"

    async def get_many(self, version: str, keys: Collection[Key]) -> dict[Key, Features]:
        """Return the features of those keys that are in the cache."""
        found = await self.entries.mget([_entry(version, key) for key in keys])
        return {key: json.loads(text) for key, text in zip(keys, found, strict=True) if text}

    async def set_many(self, version: str, rows: Mapping[Key, Features]) -> None:
        """Store features for TTL_S. A full Redis still answers reads, so only log its refusal."""
        pipeline = self.entries.pipeline(transaction=False)
        for key, features in rows.items():
            pipeline.set(_entry(version, key), json.dumps(features), ex=TTL_S)
        try:
            await pipeline.execute()
        except OutOfMemoryError as error:
            log.warning("features are not cached: %s", error)


def _entry(version: str, key: Key) -> str:
    return f"features:{version}:{':'.join(key)}"


def connect(db: int) -> Any:
    """Return an asynchronous client; above 32 connections a request waits for a free one."""
    pool = BlockingConnectionPool.from_url(
        f"redis://{settings.redis_address}/{db}",
        max_connections=32,
        timeout=MAX_WAIT_S,
        socket_timeout=1,
        decode_responses=True,
    )
    return Redis.from_pool(pool)
