"""Read a Feast feature service from Redis: compiled once, then one round trip for each read.

    with OnlineReader.open(RepoConfig(...), "fraud_detection") as reader:
        reader.read({"user_id": ["u1", "u2"], "transaction_amount": [9.5, 20.0]})

Guarantees, and differences from Feast's SDK: docs/plugins/online_reader.md.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TypeAlias

import redis
import redis.asyncio
from feast import RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStoreConfig, RedisType

from feast_plugins.online_errors import UnreadableService
from feast_plugins.online_features import OnlineFeatures
from feast_plugins.plan_compiler import PlanCompiler
from feast_plugins.read_plan import Rows
from feast_plugins.redis_clients import ClusterPool, ClusterTasks, connection_maker, place_of
from feast_plugins.redis_tasks import LoopPool, RedisTasks
from feast_plugins.redis_threads import RedisPool
from feast_plugins.registry_watch import RegistryWatch, WatchState
from feast_plugins.service_definition import load_service, open_registry

Pool: TypeAlias = RedisPool | ClusterPool

REFRESH_S = 10.0
TIMEOUT_S = 1.0


def utc_now() -> datetime:
    """Return the machine's time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class ReaderState:
    """State of the plan relative to the registry, and the number of repeated reads."""

    registry: WatchState
    retries: int


class OnlineReader(AbstractContextManager["OnlineReader"]):
    """Reader of one feature service; any number of threads and tasks may share it."""

    def __init__(
        self,
        watch: RegistryWatch,
        pool: Pool,
        tasks: RedisTasks,
        now: Callable[[], datetime],
    ) -> None:
        self._watch, self._pool, self._tasks, self._now = watch, pool, tasks, now

    @classmethod
    def open(
        cls,
        config: RepoConfig,
        service: str,
        *,
        views: Collection[str] | None = None,
        defaults: Mapping[str, object] | None = None,
        full_feature_names: bool = False,
        refresh_s: float = REFRESH_S,
        timeout_s: float = TIMEOUT_S,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Compile `service`; the first read is the first query to Redis.

        `views` are those of the service to read, all by default. `defaults` replace values that are
        missing, null, expired or of another type, before on-demand views are computed.
        The registry is read again every `refresh_s`; a read takes `timeout_s` at most. In a forked
        process, open the reader after the fork.

        Raises UnknownService, UnreadableService, RegistryUnavailable, RedisUnavailable.
        """
        pool, tasks = _connections(config, timeout_s)
        registry = open_registry(config)
        compiler = PlanCompiler(config, defaults or {}, full_feature_names)
        watch = RegistryWatch(
            lambda: load_service(registry, config.project, service, views),
            compiler.compile,
            refresh_s,
            now,
        )
        return cls(watch, pool, tasks, now)

    def read(self, rows: Rows) -> OnlineFeatures:
        """Return the features of each row; `rows` are columns of join keys and request data.

        Raises RequestError, RedisUnavailable, RedisTimeout.
        """
        plan = self._watch.plan
        request = plan.request(rows)
        replies = self._pool.fetch(request.packed, request.commands)
        return plan.answer(request, replies, self._now())

    async def read_async(self, rows: Rows) -> OnlineFeatures:
        """Do the same in asyncio."""
        plan = self._watch.plan
        request = plan.request(rows)
        replies = await self._tasks.fetch(request.packed, request.commands)
        return plan.answer(request, replies, self._now())

    def refresh(self) -> bool:
        """Read the registry now; return True if the service has changed."""
        return self._watch.check()

    @property
    def state(self) -> ReaderState:
        """Return the reader's state, for a health check."""
        return ReaderState(self._watch.state, self._pool.retries + self._tasks.retries)

    def close(self) -> None:
        """Stop watching the registry and close all connections."""
        self._watch.close()
        self._pool.close()
        self._tasks.close()

    def __exit__(self, *exception: object) -> None:
        self.close()


def _connections(config: RepoConfig, timeout_s: float) -> tuple[Pool, RedisTasks]:
    """Return the connections of threads and of tasks.

    Raises UnreadableService for another store, RedisUnavailable for an unknown option.
    """
    store = config.online_store
    if not isinstance(store, RedisOnlineStoreConfig):
        raise UnreadableService(
            f"the online store is {store.type}, and not Redis; read with store.get_online_features"
        )
    place = place_of(store)
    if store.redis_type == RedisType.redis_cluster:
        tasks = RedisTasks(lambda: ClusterTasks(store, place, timeout_s))
        return ClusterPool(store, place, timeout_s), tasks
    make = connection_maker(
        redis, store, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
    )
    tasks = RedisTasks(lambda: LoopPool(connection_maker(redis.asyncio, store), place, timeout_s))
    return RedisPool(make, place, timeout_s), tasks
