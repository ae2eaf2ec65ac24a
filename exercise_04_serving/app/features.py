"""Reads the features of one service by Feast's SDK.

The SDK blocks, so each read runs in a thread. It ignores the TTL of a view but returns the event
time of each value: here an expired value is a missing one.

A batch value that is missing is unknown: None. A user without a streaming row is quiet: counts are
0. Both rules are the feature repository's, and so is this one: while the streaming job is behind,
or has never run, all of its features are unknown, for Redis cannot know who is quiet.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isnan
from typing import NamedTuple

from feast import FeatureStore
from redis.asyncio import Redis

from exercise_01_setup.feature_repo.missing_values import (
    MAX_PROGRESS_AGE_S,
    PROGRESS_KEY,
    STREAMING_VIEW,
    quiet_values,
)
from exercise_04_serving.app.cache import Features, Key
from lab.learn import settings

LOOK_S = 1
THREADS = 2  # the SDK needs the interpreter for most of a read: more threads only contend for it


def is_current(progress: float | None) -> bool:
    """Return whether streaming features as of a progress time are true enough to serve."""
    return progress is not None and abs(time.time() - progress) <= MAX_PROGRESS_AGE_S


class View(NamedTuple):
    """A stored view of the service, with those of its features that the service has."""

    name: str
    entity: str
    ttl_s: float
    features: list[str]


class FeatureReader:
    """Reads the views of a feature service, as the registry defines them.

    `batch_views` change with a materialization, `streaming_views` with every payment;
    `on_demand_views` are computed from a payment and stored features. `features` names all.
    """

    def __init__(self, store: FeatureStore, service_name: str) -> None:
        service = store.get_feature_service(service_name)
        on_demand = {view.name: view for view in store.list_on_demand_feature_views()}
        self.name, self.version = service_name, service.tags.get("version", "")
        self.features: list[str] = []
        self.on_demand_views, stored = [], []
        for part in service.feature_view_projections:
            names = [field.name for field in part.features]
            self.features += names
            if part.name in on_demand:
                self.on_demand_views.append(on_demand[part.name])
            else:
                view = store.get_feature_view(part.name)
                stored.append(View(part.name, view.join_keys[0], view.ttl.total_seconds(), names))
        self.batch_views = [view for view in stored if view.name != STREAMING_VIEW]
        self.streaming_views = [view for view in stored if view.name == STREAMING_VIEW]
        self.streaming_features = [name for view in self.streaming_views for name in view.features]
        quiet = quiet_values(self.streaming_features)
        self.quiet = {name: value for name, value in quiet.items() if not isnan(value)}
        self._store, self._threads = store, ThreadPoolExecutor(THREADS, "feast")
        self._redis = Redis(host=settings.host, port=settings.redis_port, socket_timeout=1)
        self._progress: float | None = None
        self._next_look = 0.0

    async def read_batch(self, keys: Collection[Key]) -> dict[Key, Features]:
        """Return the batch features of users and merchants. Raises redis.RedisError."""
        rows: dict[Key, Features] = {}
        for entity in {entity for entity, _ in keys}:
            ids = [one for name, one in keys if name == entity]
            views = [view for view in self.batch_views if view.entity == entity]
            read = await self.read(views, ids)
            rows |= {(entity, one): row for one, row in zip(ids, read, strict=True)}
        return rows

    async def read_streaming(self, users: Sequence[str]) -> list[Features]:
        """Return the streaming features of each user. Raises redis.RedisError."""
        rows = await self.read(self.streaming_views, users)
        if is_current(await self.progress()):
            return rows
        return [dict.fromkeys(row) for row in rows]

    async def progress(self) -> float | None:
        """Return the progress time of the streaming job in seconds since 1970; None without one.

        Redis is read once a second, not for each request. Raises redis.RedisError.
        """
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + LOOK_S  # other requests do not look meanwhile
            published = await self._redis.get(PROGRESS_KEY)
            self._progress = float(published) / 1_000 if published else None
        return self._progress

    def missing(self, features: Features) -> list[str]:
        """Return the names of unknown features. A quiet user's mean is null but not unknown."""
        unknown = [name for name, value in features.items() if value is None]
        if self.quiet.keys() & unknown:  # without a count the whole view is unknown
            return unknown
        return [name for name in unknown if name not in self.streaming_features]

    async def read(self, views: Sequence[View], ids: Sequence[str]) -> list[Features]:
        """Return the features of each id; `views` have one join key."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, views, ids)

    def _read(self, views: Sequence[View], ids: Sequence[str]) -> list[Features]:
        references = [f"{view.name}:{name}" for view in views for name in view.features]
        answer = self._store.get_online_features(references, {views[0].entity: ids})
        found = answer.to_dict(include_event_timestamps=True)
        rows: list[Features] = [{} for _ in ids]
        for view in views:
            oldest = time.time() - view.ttl_s if view.ttl_s else 0
            for name in view.features:
                event_times = found[f"{name}__ts"]
                for row, value, event_time in zip(rows, found[name], event_times, strict=True):
                    is_known = value is not None and not isnan(value) and event_time >= oldest
                    row[name] = value if is_known else self.quiet.get(name)
        return rows
