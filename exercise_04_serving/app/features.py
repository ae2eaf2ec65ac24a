"""Reads the features of one service by Feast's SDK.

The SDK blocks, so each read runs in a thread. It ignores the TTL of a view but returns the event
time of each value: here an expired value is a missing one.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isnan, nan
from typing import NamedTuple

from feast import FeatureStore

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, quiet_values
from exercise_04_serving.app.cache import Features

THREADS = 2  # the SDK needs the interpreter for most of a read: more threads only contend for it


class View(NamedTuple):
    """A stored view: join key, TTL, and the value of each feature where none is stored."""

    name: str
    entity: str
    ttl_s: float
    missing: Features


class FeatureReader:
    """Reads the views of a feature service, as the registry defines them.

    `batch_views` change with a materialization, `streaming_views` with every payment;
    `on_demand_views` are computed from a payment and stored features. `types` has all features.
    """

    def __init__(self, store: FeatureStore, service_name: str) -> None:
        service = store.get_feature_service(service_name)
        on_demand = {view.name: view for view in store.list_on_demand_feature_views()}
        self.name, self.version = service_name, service.tags.get("version", "")
        self.types: dict[str, str] = {}
        self.on_demand_views, stored = [], []
        for part in service.feature_view_projections:
            types = {field.name: str(field.dtype) for field in part.features}
            self.types |= types
            if part.name in on_demand:
                self.on_demand_views.append(on_demand[part.name])
            else:
                view = store.get_feature_view(part.name)
                missing = missing_values(view.name, list(types))
                stored.append(View(view.name, view.join_keys[0], view.ttl.total_seconds(), missing))
        self.batch_views = [view for view in stored if view.name != STREAMING_VIEW]
        self.streaming_views = [view for view in stored if view.name == STREAMING_VIEW]
        self._store, self._threads = store, ThreadPoolExecutor(THREADS, "feast")

    async def read(self, views: Sequence[View], ids: Sequence[str]) -> list[Features]:
        """Return the features of each id; `views` have one join key. Raises redis.RedisError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, views, ids)

    def _read(self, views: Sequence[View], ids: Sequence[str]) -> list[Features]:
        references = [f"{view.name}:{name}" for view in views for name in view.missing]
        answer = self._store.get_online_features(references, {views[0].entity: ids})
        found = answer.to_dict(include_event_timestamps=True)
        rows: list[Features] = [{} for _ in ids]
        for view in views:
            oldest = time.time() - view.ttl_s if view.ttl_s else 0
            for name, missing in view.missing.items():
                event_times = found[f"{name}__ts"]
                for row, value, event_time in zip(rows, found[name], event_times, strict=True):
                    is_known = value is not None and not isnan(value) and event_time >= oldest
                    row[name] = value if is_known else missing
        return rows


def missing_values(view: str, features: Sequence[str]) -> Features:
    """Return the values that stand for missing ones, by the rule of the feature repository.

    A user without a streaming row is quiet: counts are 0. All else is unknown: null. Redis alone
    does not show that the streaming job has stopped; once it publishes its progress, return null
    here for all features while it is behind.
    """
    quiet = quiet_values(features) if view == STREAMING_VIEW else {}
    return {name: None if isnan(quiet.get(name, nan)) else quiet[name] for name in features}
