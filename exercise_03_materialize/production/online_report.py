"""Rows of each feature view in Redis: keys, bytes, ages, TTLs, changes, and the time of a read."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import redis
from feast import FeatureStore
from rich.console import Console
from rich.table import Table

from exercise_03_materialize.materialize import VIEWS
from feast_plugins.redis_encoding import decode_time, feature_field, time_field
from lab.feature_store import connect_redis, open_store
from lab.learn import as_of
from lab.materialized import Progress

KEYS_PER_SCAN = 1_000
READS = 500
NOTHING = "–"
NEVER = datetime.fromtimestamp(0, UTC)
DAY = timedelta(days=1)


def stored_rows(store: FeatureStore, client: redis.Redis) -> pd.DataFrame:
    """Return each entity's row of each view: bytes, event time, TTL, and a digest of all of it.

    A hash's own overhead belongs to no view and is not counted; neither are keys of other projects.
    """
    views = [view.name for view in store.list_feature_views() if view.online]
    fields = {view: _fields(store, view) for view in views}
    rows = []
    for key, stored, ttl in _hashes(client, store.project):
        for view, names in fields.items():
            if row := {name: stored[name] for name in names if name in stored}:
                size = sum(len(name) + len(value) for name, value in row.items())
                digest = hash((view, key, *row.items()))
                rows.append((view, size, decode_time(row.get(names[0])), ttl, digest))
    found = pd.DataFrame(rows, columns=["view", "bytes", "time", "ttl", "digest"])
    return found.astype({"view": pd.CategoricalDtype(views), "time": "datetime64[us, UTC]"})


def measure_online_store(store: FeatureStore, client: redis.Redis, now: datetime) -> pd.DataFrame:
    """Return one line per view: keys, bytes of its fields and values, ages and TTLs."""
    rows = stored_rows(store, client)
    seconds = rows["ttl"].where(rows["ttl"] >= 0)  # -1: none
    rows = rows.assign(age=now - rows["time"], ttl=pd.to_timedelta(seconds, unit="s"))
    return rows.groupby("view", observed=False).agg(
        keys=("bytes", "size"),
        bytes=("bytes", "sum"),
        newest_age=("age", "min"),
        oldest_age=("age", "max"),
        shortest_ttl=("ttl", "min"),
        longest_ttl=("ttl", "max"),
    )


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
    for key, _, _ in _hashes(client, store.project):
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


def report_online_store() -> pd.DataFrame:
    """Print and return one row per view: keys, bytes of its fields, ages of rows, and TTLs."""
    report = measure_online_store(open_store(), connect_redis(), as_of())
    Console().print(online_table(report))
    return report


def online_table(report: pd.DataFrame) -> Table:
    """The report for the terminal, 80 columns wide."""
    table = Table(
        title="Redis by feature view",
        caption="keys and TTLs are an entity's: its views share them",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("view", no_wrap=True)
    for heading in ("keys", "KiB", "newest", "oldest", "TTL"):
        table.add_column(heading, justify="right", no_wrap=True)
    for view in report.itertuples():
        shortest, longest = _span(view.shortest_ttl), _span(view.longest_ttl)
        table.add_row(
            view.Index,
            f"{view.keys:,}",
            f"{view.bytes / 1024:,.0f}",
            _span(view.newest_age),
            _span(view.oldest_age),
            shortest if shortest == longest else f"{shortest} to {longest}",
        )
    return table


def _span(span: timedelta) -> str:
    """A span in minutes, hours or days, rounded down."""
    if pd.isna(span):
        return NOTHING
    minutes = span // timedelta(minutes=1)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if span < 2 * DAY else f"{span // DAY} d"


def _fields(store: FeatureStore, view: str) -> list[bytes]:
    """Return the fields of a view's row: its event time, then its features."""
    features = [field.name for field in store.get_feature_view(view).features]
    return [time_field(view), *(feature_field(view, feature) for feature in features)]


def _hashes(client: redis.Redis, project: str) -> Iterator[tuple[bytes, dict[bytes, bytes], int]]:
    """Yield each entity's key and hash, with the key's TTL in seconds (-1: none)."""
    keys = [
        key
        for key in client.scan_iter(match=f"*{project}", count=KEYS_PER_SCAN, _type="hash")
        if not key.startswith(b"materialized_until:")
    ]
    for start in range(0, len(keys), KEYS_PER_SCAN):
        pipe = client.pipeline(transaction=False)
        chunk = keys[start : start + KEYS_PER_SCAN]
        for key in chunk:
            pipe.hgetall(key)
            pipe.ttl(key)
        replies = pipe.execute()
        yield from zip(chunk, replies[::2], replies[1::2], strict=True)
