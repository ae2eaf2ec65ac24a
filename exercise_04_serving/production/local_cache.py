"""Keeps features in the process, in front of the cache in Redis that all workers share."""

import time
from collections.abc import Collection, Mapping, Sequence

from cachetools import TTLCache

from exercise_04_serving.app.cache import TTL_S, FeatureCache, Features, Key


class LocalCache(FeatureCache):
    """The features that were used last, at most `entries`; a hit takes no round trip.

    The cache version is read every `poll_s`, which is how long a materialization may stay unseen.
    It is older than the features that are stored under it, as in FeatureCache.
    """

    def __init__(
        self, project: str, entries: int, poll_s: float, features: Sequence[str] = ()
    ) -> None:
        super().__init__(project, features)
        self._rows: TTLCache[tuple[str, Key], Features] = TTLCache(entries, TTL_S)
        self._poll_s, self._read_at, self._version = poll_s, -poll_s, ""

    async def version(self) -> str:
        """Return the cache version, as it was at most `poll_s` ago."""
        now = time.monotonic()
        if now - self._read_at >= self._poll_s:
            self._version, self._read_at = await super().version(), now
        return self._version

    async def get_many(self, version: str, keys: Collection[Key]) -> dict[Key, Features]:
        """Return what is in the process, and of the rest what is in Redis."""
        local = {key: self._rows.get((version, key)) for key in keys}
        found = {key: features for key, features in local.items() if features is not None}
        absent = [key for key in local if key not in found]
        if not absent:
            return found
        shared = await super().get_many(version, absent)
        self._keep(version, shared)
        return found | shared

    async def set_many(self, version: str, rows: Mapping[Key, Features]) -> None:
        """Store features in the process and in Redis."""
        self._keep(version, rows)
        await super().set_many(version, rows)

    def _keep(self, version: str, rows: Mapping[Key, Features]) -> None:
        self._rows.update({(version, key): features for key, features in rows.items()})


class NoCache(FeatureCache):
    """Every request reads the online store, to measure without a cache."""

    async def version(self) -> str:
        return ""

    async def get_many(self, version: str, keys: Collection[Key]) -> dict[Key, Features]:
        return {}

    async def set_many(self, version: str, rows: Mapping[Key, Features]) -> None:
        """Store nothing."""
