"""Exercise 3: copy the newest feature values from the offline store to Redis.

Run it with `lab run 3`: a week of features, then what is new, then a backfill of two weeks. It
compares every entity with the offline store, and reports what Redis holds.
"""

import io
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import redis
from feast import FeatureStore
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from exercise_03_materialize.stored_values import (
    differing,
    newest_row,
    offline_values,
    online_values,
)
from lab.learn import UserError, as_of, open_store, run_script, settings

# The streaming view is not among them: exercise 5 writes it.
VIEWS = (
    "user_transaction_features",
    "merchant_risk_features",
    "product_popularity_features",
    "user_preference_features",
)
CHUNK = timedelta(days=7)
LARGEST_ARRIVAL_DELAY = timedelta(hours=5)
MAX_DAYS = 10_000
REDIS_TIMEOUT_S = 30  # of a batch of writes

console = Console()


def initial_materialization(days_back: int = 7, as_of: datetime | None = None) -> float:
    """Write each entity's newest row of the last `days_back` days; return the seconds it took."""
    if not 0 < days_back < MAX_DAYS:
        raise UserError(f"days_back is {days_back}; use 1 to {MAX_DAYS - 1}")
    started, end = time.perf_counter(), _utc(as_of)
    store = _open_store()
    for view in VIEWS:
        newest = newest_row(store, view, end)
        materialize(store, view, end - timedelta(days=days_back), end)
        _set_last_end(store, view, newest)
    return time.perf_counter() - started


def incremental_materialization(as_of: datetime | None = None) -> float:
    """Write the entities with rows since the last run; return the seconds it took.

    Feast's `materialize_incremental` starts at the end of the last run in the registry, or, at
    the first run, at the wall clock minus the TTL: nothing for old data, and nothing after Redis
    was emptied. This run starts at the end that Redis stores, or at the TTL. Feast selects rows by
    event time, so runs overlap by the largest arrival delay: a late row is written, too. The end
    of a run is the newest row that it read, not the clock: its hour may not be published yet.
    """
    started, end = time.perf_counter(), _utc(as_of)
    store = _open_store()
    overlap = LARGEST_ARRIVAL_DELAY if settings.stores == "feast" else timedelta()
    for view in VIEWS:
        last, newest = last_end(store, view), newest_row(store, view, end)
        first = (newest or end) - store.get_feature_view(view).ttl
        start = first if last is None else last - overlap
        materialize(store, view, min(start, end), end)
        _set_last_end(store, view, newest)
        if newest is None or (last is not None and newest <= last):
            console.print(f"  {view}: no row is newer than {last or start:%d %B %H:%M} UTC")
    return time.perf_counter() - started


def validate_materialization() -> bool:
    """Compare every entity in Redis with the offline store; True when all agree."""
    store = _open_store()
    wrong = 0
    for view in VIEWS:
        end = last_end(store, view)
        if end is None:
            raise UserError(f"{view} was never materialized to this Redis", "lab run 3")
        offline = offline_values(store, view, end)
        if offline.empty:
            console.print(f"  {view}: every row has expired")
            continue
        differs = differing(offline, online_values(store, view, offline.index))
        wrong += int(differs.sum())
        equal = len(differs) - differs.sum()
        console.print(f"  {view}: {equal:,} of {len(differs):,} entities agree")
        for entity in offline.index[differs][:3]:
            console.print(f"    [red]{entity} differs[/]")
    return wrong == 0


def backfill_features(
    start_date: datetime, end_date: datetime, finished: set[datetime] | None = None
) -> None:
    """Write a date range, a week at a time.

    The order of the weeks does not matter: an older row never replaces a newer one. Feast's own
    Redis store also skips a row whose event time is stored: corrected values, and a new feature,
    arrive with the plug-in or in an empty Redis. Weeks in `finished`, by their starts, are skipped;
    production passes a set that survives a kill.
    """
    start, end = _utc(start_date), _utc(end_date)
    if start >= end:
        raise UserError(f"a backfill from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is empty")
    store, finished = _open_store(), set() if finished is None else finished
    while start < end:
        chunk_end = min(start + CHUNK, end)
        if start not in finished:
            console.print(f"  backfill {start:%Y-%m-%d %H:%M} to {chunk_end:%Y-%m-%d %H:%M}")
            for view in VIEWS:
                materialize(store, view, start, chunk_end)
            finished.add(start)
        start = chunk_end


def monitor_materialization() -> pd.DataFrame:
    """Return keys, ages of rows and TTLs by view; views of one entity share its key and TTL."""
    store, client, now = _open_store(), connect_redis(), as_of()
    names = [view.name for view in store.list_feature_views()]
    rows = []
    for key in client.scan_iter(match=f"*{store.project}", count=1_000, _type="hash"):
        times: Any = client.hmget(key, [f"_ts:{name}" for name in names])
        for name, stored in zip(names, times, strict=True):
            if stored is not None:
                time_of_row = Timestamp.FromString(stored).ToDatetime(UTC)
                rows.append((name, now - time_of_row, client.ttl(key)))
    report = (
        pd.DataFrame(rows, columns=["view", "age", "ttl_s"])
        .groupby("view")
        .agg(
            keys=("age", "size"),
            newest=("age", "min"),
            oldest=("age", "max"),
            ttl_s=("ttl_s", "min"),
        )
    )
    console.print(report)
    memory: Any = client.info("memory")
    console.print(
        f"  memory {memory['used_memory'] / 2**20:.1f} MiB of {memory['maxmemory'] / 2**20:.0f}, "
        f"peak {memory['used_memory_peak'] / 2**20:.1f}, policy {memory['maxmemory_policy']}"
    )
    return report


def materialize(store: FeatureStore, view: str, start: datetime, end: datetime) -> None:
    """Materialize one view by Feast, and count the run: caches of features depend on it."""
    try:
        with redirect_stdout(io.StringIO()):
            store.materialize(start, end, feature_views=[view])
    except redis.OutOfMemoryError as error:
        problem = "Redis rejected a write: its memory limit is reached"
        next_step = "LAB_REDIS_MAXMEMORY=4gb lab up redis, after lab down"
        raise UserError(problem, next_step) from error
    connect_redis().incr(f"materialization_runs:{store.project}")


def last_end(store: FeatureStore, view: str) -> datetime | None:
    """Return the time of the newest row that was read, from Redis; None before the first run."""
    stored: Any = connect_redis().hget(f"materialized_until:{store.project}", view)
    return datetime.fromisoformat(stored.decode()) if stored else None


def _set_last_end(store: FeatureStore, view: str, end: datetime | None) -> None:
    """Record the newest row of a run; a run without rows, or of an earlier period, has none."""
    last = last_end(store, view)
    if end is not None and (last is None or end > last):
        connect_redis().hset(f"materialized_until:{store.project}", view, end.isoformat())


def connect_redis() -> redis.Redis:
    """Return a client of the online store's Redis."""
    return redis.Redis(settings.host, settings.redis_port, socket_timeout=5)


def _open_store() -> FeatureStore:
    return open_store(redis_timeout_s=REDIS_TIMEOUT_S)


def _utc(moment: datetime | None) -> datetime:
    """Return the moment in UTC: the brief's dates have no zone; None is the as-of time.

    A date and a text in ISO 8601 are moments, too. Airflow passes a Pendulum moment. Its
    `astimezone` keeps the type, and that minus a timedelta is naive.
    """
    try:
        time = pd.Timestamp(str(as_of() if moment is None else moment))
        aware = time.tz_localize(UTC) if time.tzinfo is None else time
        if not 1970 < aware.year < 9999:
            raise ValueError("no room for the days before or after")
        return datetime.fromtimestamp(aware.timestamp(), UTC)
    except (ValueError, TypeError) as error:
        problem = f"{moment!r} is no time from 1971 to 9998"
        raise UserError(problem, "pass a datetime, or text in ISO 8601") from error


def main(backfill: Callable[[datetime, datetime], None] = backfill_features) -> None:
    end = as_of()
    console.print(f"Exercise 3: materialize {len(VIEWS)} views to Redis")
    console.print(f"  7 days until {end:%d %B %H:%M} UTC: {initial_materialization():.1f} s")
    console.print(f"  what is new since: {incremental_materialization():.1f} s")
    backfill(end - 2 * CHUNK, end)
    if not validate_materialization():
        raise SystemExit("Redis and the offline store do not agree")
    monitor_materialization()


if __name__ == "__main__":
    run_script(main)
