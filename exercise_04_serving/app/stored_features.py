"""The features of a payment: read in one round trip, cached where they are slow, never with a hole.

Slow features change with a materialization and are cached. The streaming view changes with every
event: it is read for each request, and with a warm cache it is all that is read.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import NamedTuple, Protocol

from feast_plugins.online_errors import OnlineReadError, RedisUnavailable
from feast_plugins.online_features import OnlineFeatures, Status
from feast_plugins.online_reader import OnlineReader, ReaderState
from feast_plugins.read_plan import Asked, Rows
from lab.feature_store import feast_says_nothing, open_store
from lab.settings import settings, utc_now

from . import telemetry
from .cache import LocalCache, ReplyCache
from .database import CACHE, FEATURES, Database
from .generation import Generation
from .hot_entities import HotEntities
from .shared_cache import SharedCache

SERVICE = "fraud_detection"
LIVE_VIEW = "user_streaming_features"
REQUEST_VIEW = "transaction_request_features"
AMOUNT = "transaction_amount"
NO_ROWS: Rows = {"user_id": [], "merchant_id": [], AMOUNT: []}

# What stands for a feature that is missing, null, expired or of another type. It is what no history
# means: this user has paid nothing yet, and nothing was taken back from this merchant.
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "user_transaction_features": {
        "transaction_count_7d": 0,
        "transaction_count_30d": 0,
        "avg_transaction_amount": 0.0,
    },
    "merchant_risk_features": {"chargeback_rate": 0.0, "total_transactions_30d": 0},
    LIVE_VIEW: {
        "transaction_count_5m": 0,
        "total_amount_5m": 0.0,
        "avg_amount_5m": 0.0,
        "max_amount_5m": 0.0,
        "declined_count_5m": 0,
        "transaction_count_1h": 0,
        "avg_amount_1h": 0.0,
    },
}
SLOW_VIEWS = [view for view in DEFAULTS if view != LIVE_VIEW] + [REQUEST_VIEW]
# A user without an event has no row of these, and the mean of no payment is null: zeros are true.
QUIET = frozenset(DEFAULTS[LIVE_VIEW])
WARM_CHUNK = 100

log = logging.getLogger(__name__)


class RowFeatures(NamedTuple):
    """A row's features, all of them numbers, and the names of those that a default stands for."""

    values: dict[str, float]
    missing: list[str]


def served(answer: OnlineFeatures, rows: int) -> list[RowFeatures]:
    """The answer row by row; what a default stands for is named, and counted with the reason."""
    columns = [
        (name, values, answer.statuses[name], name in QUIET)
        for name, values in answer.values.items()
    ]
    return [_row(columns, row) for row in range(rows)]


def _row(
    columns: Sequence[tuple[str, Sequence[object], Sequence[Status], bool]], row: int
) -> RowFeatures:
    features: dict[str, float] = {}
    missing = []
    for name, values, statuses, may_be_quiet in columns:
        value, status = values[row], statuses[row]
        is_number = isinstance(value, int | float) and isfinite(value)
        features[name] = value if is_number else 0.0
        if status is Status.PRESENT and is_number:
            continue
        if not may_be_quiet or status is Status.WRONG_TYPE:
            missing.append(name)
            telemetry.count_default(name, status if is_number else "not a number")
    return RowFeatures(features, missing)


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


def _reader(views: Sequence[str]) -> OnlineReader:
    defaults = {name: value for view in views for name, value in DEFAULTS.get(view, {}).items()}
    return OnlineReader.open(
        open_store().config,
        SERVICE,
        views=views,
        defaults=defaults,
        timeout_s=settings.online_read_timeout_s,
    )


def _names(reader: OnlineReader) -> Collection[str]:
    return reader.answer(reader.ask(NO_ROWS), []).values.keys()


class DirectFeatures:
    """Every request is one round trip to the store."""

    has_cache = False

    def __init__(self) -> None:
        self._reader = _reader([LIVE_VIEW, *SLOW_VIEWS])
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
        self._slow, self._live = _reader(SLOW_VIEWS), _reader([LIVE_VIEW])
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
        replies = self._cache.known(slow.commands)
        if replies is None:
            obtaining = self._obtain(slow)
            replies, fresh = await asyncio.gather(obtaining, self._live.fetch(live.commands))
        else:
            telemetry.CACHE_HITS.inc(slow.rows)
            fresh = await self._live.fetch(live.commands)
        return _together(self._slow.answer(slow, replies), self._live.answer(live, fresh))

    async def _obtain(self, slow: Asked) -> Sequence[Sequence[bytes | None]]:
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
    )
