"""The features of payments: read in one round trip, and cached where they are slow.

Slow features change with a materialization and are cached. The streaming view changes with every
event: it is read for each request, and with a warm cache it is all that is read.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW
from exercise_04_serving.production.model_file import AMOUNT
from feast_plugins.online_errors import OnlineReadError, RedisUnavailable
from feast_plugins.online_features import OnlineFeatures
from feast_plugins.online_reader import OnlineReader, ReaderState
from feast_plugins.read_plan import Asked, Reply, Rows
from lab.feature_store import feast_says_nothing, open_store
from lab.settings import settings, utc_now

from . import telemetry
from .cache import LocalCache, ReplyCache
from .database import CACHE, FEATURES, Database
from .generation import Generation
from .hot_entities import HotEntities
from .shared_cache import SharedCache

SERVICE = "fraud_detection"
NO_ROWS: Rows = {"user_id": [], "merchant_id": [], AMOUNT: []}

WARM_CHUNK = 100

log = logging.getLogger(__name__)


class StoredFeatures(Protocol):
    """Reads the service's features for columns user_id, merchant_id, transaction_amount."""

    async def read(self, rows: Rows) -> OnlineFeatures:
        """The features of each row; raises RedisUnavailable, RedisTimeout."""

    async def warm(self) -> None:
        """Make ready for the first request."""

    async def keep_current(self) -> None:
        """Run beside the requests, until cancelled."""

    @property
    def names(self) -> Collection[str]:
        """Of all features."""

    @property
    def state(self) -> ReaderState:
        """How the reader stands to the registry."""

    @property
    def has_cache(self) -> bool:
        """Whether replies are kept."""

    def close(self) -> None:
        """Close all connections."""


def open_features() -> StoredFeatures:
    """By the settings, with a cache or without; UserError when nothing was applied."""
    with feast_says_nothing():
        return CachedFeatures() if settings.feature_cache == "on" else DirectFeatures()


def _reader(views: Sequence[str] | None = None) -> OnlineReader:
    return OnlineReader.open(
        open_store().config,
        SERVICE,
        views=views,
        timeout_s=settings.online_read_timeout_s,
    )


def _slow_views() -> list[str]:
    """All views of the service but the streaming one."""
    service = open_store().get_feature_service(SERVICE)
    return [view.name for view in service.feature_view_projections if view.name != STREAMING_VIEW]


def _names(reader: OnlineReader) -> Collection[str]:
    return reader.answer(reader.ask(NO_ROWS), []).values.keys()


class DirectFeatures:
    """Every request is one round trip to the store."""

    has_cache = False

    def __init__(self) -> None:
        self._reader = _reader()
        self.read = self._reader.read_async

    async def warm(self) -> None:
        pass

    async def keep_current(self) -> None:
        pass

    @property
    def names(self) -> Collection[str]:
        return _names(self._reader)

    @property
    def state(self) -> ReaderState:
        return self._reader.state

    def close(self) -> None:
        self._reader.close()


class CachedFeatures:
    """The slow views come from a cache, the streaming view from the store."""

    has_cache = True

    def __init__(self) -> None:
        self._live, self._slow = _reader([STREAMING_VIEW]), _reader(_slow_views())
        self._store = Database(FEATURES, settings.online_read_timeout_s)
        self._database = Database(CACHE, settings.cache_timeout_s)
        self._generation = Generation(self._store, open_store().project)
        self._shared = SharedCache(
            self._database, settings.cache_entries_in_redis, settings.cache_ttl_s
        )
        local = LocalCache(settings.cache_entries_in_process, settings.cache_ttl_s)
        self._cache = ReplyCache(local, self._shared, self._generation, self._slow.fetch)
        self._hot = HotEntities(self._database, settings.warm_entities)

    async def read(self, rows: Rows) -> OnlineFeatures:
        slow, live = self._slow.ask(rows), self._live.ask(rows)
        self._hot.notice(rows["user_id"], rows["merchant_id"])
        kept = self._cache.known(slow.commands)
        if kept is None:
            obtaining = self._obtain(slow)
            replies, fresh = await asyncio.gather(obtaining, self._live.fetch(live.commands))
        else:
            replies = kept
            telemetry.CACHE_HITS.inc(slow.rows)
            fresh = await self._live.fetch(live.commands)
        return _together(self._slow.answer(slow, replies), self._live.answer(live, fresh))

    async def _obtain(self, slow: Asked) -> Sequence[Reply]:
        """The replies; a row counts as a miss when any of it was read from the store for it."""
        replies, read = await self._cache.obtain(slow.commands)
        places = zip(*slow.places, strict=True)
        missed = sum(any(slow.commands[place] in read for place in row) for row in places)
        telemetry.CACHE_MISSES.inc(missed)
        telemetry.CACHE_HITS.inc(slow.rows - missed)
        return replies

    async def warm(self) -> None:
        """Fetch what was asked for most before this start, for as long as the settings allow."""
        try:
            async with asyncio.timeout(settings.warm_timeout_s):
                await self._generation.poll()
                pairs = await self._hot.load(utc_now())
                for start in range(0, len(pairs), WARM_CHUNK):
                    await self._cache.obtain(self._commands(pairs[start : start + WARM_CHUNK]))
        except (TimeoutError, OnlineReadError) as error:
            log.warning("the cache starts cold: %s", str(error) or "time is up")

    def _commands(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bytes]:
        users, merchants = zip(*pairs, strict=True)
        amounts = [1.0] * len(pairs)
        rows = {"user_id": users, "merchant_id": merchants, AMOUNT: amounts}
        return self._slow.ask(rows).commands

    async def keep_current(self) -> None:
        """Look every `cache_poll_s` which generation it is: the bound on what a cache may lag."""
        while True:
            await self._generation.poll()
            try:
                await self._shared.count()
                await self._hot.save(utc_now())
            except RedisUnavailable as error:
                log.debug("the cache is not tended: %s", error)
            await asyncio.sleep(settings.cache_poll_s)

    @property
    def names(self) -> Collection[str]:
        return {*_names(self._slow), *_names(self._live)}

    @property
    def state(self) -> ReaderState:
        return self._slow.state

    def close(self) -> None:
        for connection in (self._slow, self._live, self._store, self._database):
            connection.close()


def _together(slow: OnlineFeatures, live: OnlineFeatures) -> OnlineFeatures:
    return OnlineFeatures(
        slow.values | live.values,
        slow.statuses | live.statuses,
        slow.event_times | live.event_times,
        {**slow.sources, **live.sources},
    )
