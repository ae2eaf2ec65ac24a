"""Exercise 3: from the offline store to Redis: all of it once, then only what is new.

Run it with `lab run 3`. It starts from an empty store: the week until three hours ago, then three
incremental runs as an hourly job would make them, then a backfill of two weeks. It compares every
entity with the offline store, times reads, and reports what Redis holds.
"""

import time
from datetime import UTC, datetime, timedelta

import pandas as pd
from feast import FeatureStore
from rich.console import Console

from exercise_03_materialize.journal import BackfillJournal
from exercise_03_materialize.online_report import (
    READS,
    ChangeCounts,
    clear_views,
    measure_online_store,
    online_table,
    read_latency_ms,
)
from lab import dataset
from lab.errors import run_script
from lab.feature_store import (
    MATERIALIZED_VIEWS,
    connect_redis,
    feast_says_nothing,
    open_store,
    out_of_memory_is_loud,
)
from lab.feature_values import differing, offline_values, online_values
from lab.figures import record
from lab.materialized import Progress

CHUNK = timedelta(days=7)
HOURLY_RUNS, HOUR = 3, timedelta(hours=1)
WHY = """  An hour changes the entities with new values. The run after midnight UTC
  changes nearly all: each entity has one row a day, so that counts decay and
  no value expires. A backfill of what is stored changes nothing: an older row
  replaces no newer one."""

console = Console()


def initial_materialization(days_back: int = 7, as_of: datetime | None = None) -> float:
    """Write each entity's newest row of the last `days_back` days; return the seconds it took.

    The views are named: without names it would be the streaming view too, which exercise 5 writes.
    """
    started, now = time.perf_counter(), _utc(as_of or dataset.as_of())
    store = open_store()
    progress = Progress(store, connect_redis())
    for view in MATERIALIZED_VIEWS:
        materialize(store, view, now - timedelta(days=days_back), now)
        progress.mark(view, now)
    return time.perf_counter() - started


def incremental_materialization(as_of: datetime | None = None) -> float:
    """Write the entities with rows that arrived since the last run; return the seconds it took.

    Feast's `materialize_incremental` begins where the registry says that the last run ended, or, at
    the first run, at the wall clock minus the TTL: after their end, on old data. And an emptied
    Redis would stay empty. Ours begins where this Redis ends, and the first time at the TTL.
    """
    started, now = time.perf_counter(), _utc(as_of or dataset.as_of())
    store = open_store()
    progress = Progress(store, connect_redis())
    for view in MATERIALIZED_VIEWS:
        since = progress.until(view) or now - store.get_feature_view(view).ttl
        materialize(store, view, min(since, now), now)
        progress.mark(view, now)
    return time.perf_counter() - started


def backfill_features(start_date: datetime, end_date: datetime) -> None:
    """Write a range of dates again, a week at a time: after adding a feature, or mending values.

    The order of the weeks does not matter, since Redis keeps the newer row; of two rows with one
    event time the later write wins, which is how a mended value gets in. A run that was killed goes
    on where it stopped.
    """
    store = open_store()
    journal = BackfillJournal(store, connect_redis(), _utc(start_date), _utc(end_date))
    for start, end in journal.remaining(CHUNK):
        console.print(f"  backfill {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
        for view in MATERIALIZED_VIEWS:
            materialize(store, view, start, end)
        journal.done(start)
    journal.close()


def materialize(store: FeatureStore, view: str, start: datetime, end: datetime) -> None:
    """Feast's own, by the engine of feature_store.yaml, which takes what arrived late as well."""
    with out_of_memory_is_loud(), feast_says_nothing():
        store.materialize(start, end, feature_views=[view])
    Progress(store, connect_redis()).count_run()


def validate_materialization() -> bool:
    """Compare every entity in Redis with the offline store, bit for bit; True when all agree."""
    store = open_store()
    progress = Progress(store, connect_redis())
    wrong = 0
    for view in MATERIALIZED_VIEWS:
        offline = offline_values(store, view, progress.known_until(view))
        online = online_values(store, view, offline.index)
        differs = differing(offline, online)
        wrong += int(differs.sum())
        agree = len(differs) - differs.sum()
        console.print(f"  {view}: {agree:,} of {len(differs):,} entities agree")
        for entity in offline.index[differs][:3]:
            console.print(f"    [red]{entity} differs[/]")
    return wrong == 0


def monitor_materialization() -> pd.DataFrame:
    """One row per view: its keys, the bytes of its fields, how old its rows are, and TTLs.

    Keys and TTLs belong to an entity, not to a view: views of one entity share them.
    """
    client = connect_redis()
    report = measure_online_store(open_store(), client, dataset.as_of())
    memory = client.info("memory")
    console.print(online_table(report))
    console.print(
        f"  memory {memory['used_memory'] / 2**20:.1f} MiB of {memory['maxmemory'] / 2**20:.0f}, "
        f"peak {memory['used_memory_peak'] / 2**20:.1f}, policy {memory['maxmemory_policy']}"
    )
    return report


def _utc(moment: datetime) -> datetime:
    """The brief's dates carry no zone, and mean UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def main() -> None:
    store, client, now = open_store(), connect_redis(), dataset.as_of()
    console.print(f"Exercise 3: materialize {len(MATERIALIZED_VIEWS)} views to Redis")
    clear_views(store, client)
    changes, moment = ChangeCounts(store, client), now - HOURLY_RUNS * HOUR

    seconds = initial_materialization(days_back=7, as_of=moment)
    record("initial_materialization_s", seconds, "s")
    rows = changes.add("initial")
    console.print(f"  7 days until {moment:%d %B %H:%M} UTC: {rows:,} rows in {seconds:.1f} s")

    while moment < now:
        moment += HOUR
        seconds = incremental_materialization(moment)
        record("incremental_materialization_s", seconds, "s")
        rows = changes.add(f"{moment:%H:%M}")
        console.print(f"  what arrived until {moment:%H:%M}: {rows:,} rows in {seconds:.1f} s")

    backfill_features(now - 2 * CHUNK, now)
    changes.add("backfill")
    console.print(f"  entities whose row in Redis changed\n{changes.steps}\n{WHY}", highlight=False)
    if not validate_materialization():
        raise SystemExit("Redis and the offline store do not agree")

    p50, p95 = read_latency_ms(store, MATERIALIZED_VIEWS[0], now)
    record("online_read_p50_ms", p50, "ms")
    record("online_read_p95_ms", p95, "ms")
    console.print(f"  {READS} reads of users through Feast: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    monitor_materialization()


if __name__ == "__main__":
    run_script(main)
