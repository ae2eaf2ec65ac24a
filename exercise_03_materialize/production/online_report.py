"""Rows of each feature view in Redis: bytes, changes, and the time of a read."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import redis
from feast import FeatureStore
from rich.console import Console

from exercise_03_materialize.materialize import VIEWS
from feast_plugins.redis_encoding import feature_field, time_field
from lab.feature_store import connect_redis, open_store
from lab.materialized import Progress

KEYS_PER_SCAN = 1_000
READS = 500
NEVER = datetime.fromtimestamp(0, UTC)


def stored_rows(store: FeatureStore, client: redis.Redis) -> pd.DataFrame:
    """Return each entity's row of each view: its bytes, and a digest of all of it.

    A hash's own overhead belongs to no view and is not counted; neither are keys of other projects.
    """
    views = [view.name for view in store.list_feature_views() if view.online]
    fields = {view: _fields(store, view) for view in views}
    rows = []
    for key, stored in _hashes(client, store.project):
        for view, names in fields.items():
            if row := {name: stored[name] for name in names if name in stored}:
                size = sum(len(name) + len(value) for name, value in row.items())
                rows.append((view, size, hash((view, key, *row.items()))))
    found = pd.DataFrame(rows, columns=["view", "bytes", "digest"])
    return found.astype({"view": pd.CategoricalDtype(views)})


def report_online_store() -> pd.Series:
    """Print and return the size of each view's fields and values in Redis."""
    rows = stored_rows(open_store(), connect_redis())
    sizes = rows.groupby("view", observed=False)["bytes"].sum()
    Console().print(sizes.map("{:,} bytes".format).to_string(header=False), highlight=False)
    return sizes


class ChangeCounts:
    """Entities of each materialized view whose row in Redis changed: `steps`, a column each."""

    def __init__(self, store: FeatureStore, client: redis.Redis) -> None:
        self._store, self._client = store, client
        self._digests = stored_rows(store, client)["digest"]
        self.steps = pd.DataFrame(index=pd.Index(VIEWS))

    def add(self, step: str) -> int:
        """Count the rows that are new or differ since the last step; return their sum."""
        rows = stored_rows(self._store, self._client)
        changed = rows[~rows["digest"].isin(self._digests)]
        self.steps[step] = changed["view"].value_counts().reindex(self.steps.index)
        self._digests = rows["digest"]
        return int(self.steps[step].sum())


def clear_views(store: FeatureStore, client: redis.Redis) -> None:
    """Remove the rows of the materialized views, and the ends of their last runs.

    Rows of the streaming view stay. Feast keeps the registry's intervals if the list is empty.
    """
    fields = [field for view in VIEWS for field in _fields(store, view)]
    Progress(store, client).clear()
    pipe = client.pipeline(transaction=False)
    for key, _ in _hashes(client, store.project):
        pipe.hdel(key, *fields)
    pipe.execute()
    for name in VIEWS:
        view = store.get_feature_view(name)
        view.materialization_intervals = [(NEVER, NEVER)]
        store.registry.apply_feature_view(view, store.project)


def read_latency_ms(entities: pd.Index) -> tuple[float, float]:
    """Return p50 and p95 of reads of random entities' rows through Feast's SDK."""
    store, latencies = open_store(), []
    features = [f"{VIEWS[0]}:{f.name}" for f in store.get_feature_view(VIEWS[0]).features]
    for entity in entities.to_series().sample(READS + 1, replace=True, random_state=0):
        start = time.perf_counter()
        store.get_online_features(features, [{entities.name: entity}])
        latencies.append((time.perf_counter() - start) * 1_000)
    p50, p95 = pd.Series(latencies[1:]).quantile([0.5, 0.95])  # the first read connects
    return p50, p95


def _fields(store: FeatureStore, view: str) -> list[bytes]:
    """Return the fields of a view's row: its event time, then its features."""
    features = [field.name for field in store.get_feature_view(view).features]
    return [time_field(view), *(feature_field(view, feature) for feature in features)]


def _hashes(client: redis.Redis, project: str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Yield each entity's key and hash."""
    for key in client.scan_iter(match=f"*{project}", count=KEYS_PER_SCAN, _type="hash"):
        if not key.startswith(b"materialized_until:"):
            stored: Any = client.hgetall(key)
            yield key, stored
