"""Reads the features of one service by Feast's SDK.

Three rules for missing values, all of the feature repository. A missing batch value is unknown:
None. A user without a streaming row is quiet: counts are 0. While the streaming job is behind, or
has never run, its features are unknown: Redis cannot know who is quiet.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isfinite, isnan, nan

from feast import FeatureStore, FeatureView

from exercise_01_setup.feature_repo.missing_values import (
    MAX_PROGRESS_AGE_S,
    PROGRESS_KEY,
    STREAMING_VIEW,
    quiet_values,
)
from exercise_04_serving.app.cache import Features, Key, connect

THREADS = 2  # the SDK needs the interpreter for most of a read: more threads only contend for it


def is_current(progress: float | None) -> bool:
    """Return whether streaming features as of a progress time are true enough to serve."""
    return progress is not None and abs(time.time() - progress) <= MAX_PROGRESS_AGE_S


def feature_names(view: FeatureView) -> list[str]:
    """Return those features of a view that the service has."""
    return [field.name for field in view.projection.features]


class FeatureReader:
    """Reads the views of a feature service, as the registry defines them.

    `batch_views` change with a materialization, `streaming_view` with every payment;
    `on_demand_views` are computed from a payment and stored features. `features` names all.
    """

    def __init__(self, store: FeatureStore, service_name: str) -> None:
        service = store.get_feature_service(service_name)
        self.name, self.version = service_name, service.tags.get("version", "")
        parts = service.feature_view_projections
        self.features = [field.name for part in parts for field in part.features]
        on_demand = {view.name: view for view in store.list_on_demand_feature_views()}
        self.on_demand_views = [on_demand[part.name] for part in parts if part.name in on_demand]
        stored = [part for part in parts if part.name not in on_demand]
        views = [store.get_feature_view(part.name).with_projection(part) for part in stored]
        self.batch_views = [view for view in views if view.name != STREAMING_VIEW]
        (self.streaming_view,) = (view for view in views if view.name == STREAMING_VIEW)
        self.join_key = {view.name: view.join_keys[0] for view in views}  # slow to look up
        self.streaming_features = feature_names(self.streaming_view)
        quiet = quiet_values(self.streaming_features)
        self.quiet = {name: value for name, value in quiet.items() if not isnan(value)}
        self._store, self._threads = store, ThreadPoolExecutor(THREADS, "feast")
        self._redis = connect(0)

    async def read_batch(self, keys: Collection[Key]) -> dict[Key, Features]:
        """Return the batch features of users and merchants. Raises redis.RedisError."""
        rows: dict[Key, Features] = {key: {} for key in keys}
        for view in self.batch_views:
            join_key = self.join_key[view.name]
            ids = [one for entity, one in keys if entity == join_key]
            read = await self.read(view, ids) if ids else []
            for one, features in zip(ids, read, strict=True):
                rows[join_key, one] |= features
        return rows

    async def read_streaming(self, users: Sequence[str]) -> list[Features]:
        """Return the streaming features of each user. Raises redis.RedisError."""
        rows = await self.read(self.streaming_view, users)
        is_true = is_current(await self.progress())
        return rows if is_true else [dict.fromkeys(row) for row in rows]

    async def progress(self) -> float | None:
        """Return the progress time of the streaming job in seconds since 1970; None without one."""
        try:
            published = await self._redis.get(PROGRESS_KEY)
            return float(published) / 1_000 if published else None
        except ValueError:  # not a number: a job has run, but its time is unknown
            return nan

    def missing(self, features: Features) -> list[str]:
        """Return the names of unknown features. A quiet user's mean is null but not unknown."""
        unknown = [name for name in self.features if features[name] is None]
        if self.quiet.keys() & unknown:  # without a count the whole view is unknown
            return unknown
        return [name for name in unknown if name not in self.streaming_features]

    async def read(self, view: FeatureView, ids: Sequence[str]) -> list[Features]:
        """Return the features of each id. The SDK blocks, so it runs in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, view, ids)

    def _read(self, view: FeatureView, ids: Sequence[str]) -> list[Features]:
        """The SDK ignores the TTL of a view but returns event times: expired is missing, too."""
        references = [f"{view.name}:{name}" for name in feature_names(view)]
        answer = self._store.get_online_features(references, {self.join_key[view.name]: ids})
        found = answer.to_dict(include_event_timestamps=True)
        oldest = time.time() - view.ttl.total_seconds() if view.ttl else 0
        rows: list[Features] = [{} for _ in ids]
        for name in feature_names(view):
            for row, value, moment in zip(rows, found[name], found[f"{name}__ts"], strict=True):
                is_known = value is not None and isfinite(value) and moment >= oldest
                row[name] = value if is_known else self.quiet.get(name)
        return rows
