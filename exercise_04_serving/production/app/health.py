"""Whether the service can do its work, asked anew each time."""

from dataclasses import dataclass

from feast_plugins.online_errors import RedisUnavailable
from lab.settings import settings

from .database import CACHE, FEATURES, Database
from .schema import Health, Stats
from .stored_features import StoredFeatures
from .telemetry import totals

VERSION = "1.0.0"
PROBE = [b"SET", b"health:probe", b"1", b"EX", b"10"]


@dataclass(frozen=True)
class Checks:
    """Asks over connections of its own, so that a busy one does not hide a Redis that answers."""

    stored: StoredFeatures
    features: Database
    cache: Database

    @classmethod
    def of(cls, stored: StoredFeatures) -> "Checks":
        timeout_s = settings.online_read_timeout_s
        return cls(stored, Database(FEATURES, timeout_s), Database(CACHE, timeout_s))

    async def redis_answers(self) -> bool:
        """Whether features can be read."""
        try:
            await self.features.ask([b"EXISTS", b"health:probe"])
        except RedisUnavailable:
            return False
        return True

    async def health(self) -> Health:
        """Unhealthy when it cannot predict, degraded when it does so without cache or registry."""
        is_up = await self.redis_answers()
        cache = await self._cache_state() if is_up else "down"
        error = self.stored.state.registry.last_error
        feast = "up" if error is None else "down"
        is_whole = cache in ("up", "off") and feast == "up"
        return Health(
            status=("healthy" if is_whole else "degraded") if is_up else "unhealthy",
            redis="up" if is_up else "down",
            feast=feast,
            cache=cache,
            version=VERSION,
        )

    async def _cache_state(self) -> str:
        try:
            await self.cache.ask(PROBE)
        except RedisUnavailable:
            return "full"
        return "up" if self.stored.has_cache else "off"

    async def stats(self) -> Stats:
        """Counts over all workers, and what the cache takes."""
        sums = totals()
        hits = int(sums["feature_cache_hits_total"])
        misses = int(sums["feature_cache_misses_total"])
        memory, keys = await self._memory()
        return Stats(
            cache_hits=hits,
            cache_misses=misses,
            cache_hit_rate=hits / max(hits + misses, 1),
            total_predictions=int(sums["predictions_total"]),
            redis_memory_mb=memory,
            redis_keys=keys,
        )

    async def _memory(self) -> tuple[float | None, int | None]:
        try:
            info, keys = await self.cache.ask([b"INFO", b"memory"], [b"DBSIZE"])
        except RedisUnavailable:
            return None, None
        used = next(line for line in info.splitlines() if line.startswith(b"used_memory:"))
        return int(used.partition(b":")[2]) / 2**20, keys

    def close(self) -> None:
        """Close the connections."""
        self.features.close()
        self.cache.close()
