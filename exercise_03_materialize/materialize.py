"""Exercise 3: from the offline store to Redis: all of it once, then only what is new.

Run it with `lab run 3`. It materializes the last week, then what arrived since, compares every
entity with the offline store, and says what Redis holds.
"""

import time
from datetime import UTC, datetime, timedelta

import pandas as pd
from rich.console import Console

from exercise_03_materialize.arrivals import Arrivals
from exercise_03_materialize.journal import BackfillJournal
from exercise_03_materialize.online_report import measure_online_store, online_table
from lab import dataset
from lab.errors import run_script
from lab.feature_store import (
    MATERIALIZED_VIEWS,
    connect_redis,
    open_store,
    out_of_memory_is_loud,
    with_declared_types,
)
from lab.figures import record

CHUNK = timedelta(days=7)
ENTITIES_PER_READ = 1_000

console = Console()


def initial_materialization(days_back: int = 7) -> float:
    """Write each entity's newest row of the last `days_back` days; the seconds it took.

    The views are named: without names it would be the streaming view too, which exercise 5 writes.
    Feast's own `materialize` also takes rows that happened by now but have not arrived yet.
    """
    start, now = time.perf_counter(), dataset.as_of()
    arrivals = Arrivals(open_store(), connect_redis())
    with out_of_memory_is_loud():
        for view in MATERIALIZED_VIEWS:
            rows = arrivals.between(view, now - timedelta(days=days_back), now, known=now)
            arrivals.write(view, rows)
            arrivals.mark_seen(view, until=now)
    return time.perf_counter() - start


def incremental_materialization(as_of: datetime | None = None) -> float:
    """Write the entities with rows that arrived since the last run; the seconds it took.

    Feast's own incremental run asks which rows *happened* since then. A row that happened before
    and arrived late is never asked for again, so this asks which rows *arrived*.
    """
    start, now = time.perf_counter(), _utc(as_of or dataset.as_of())
    arrivals = Arrivals(open_store(), connect_redis())
    with out_of_memory_is_loud():
        for view in MATERIALIZED_VIEWS:
            rows = arrivals.since_last_run(view, until=now)
            arrivals.write(view, rows)
            arrivals.mark_seen(view, until=now)
            console.print(f"  {view}: {len(rows):,} entities have new rows")
    return time.perf_counter() - start


def backfill_features(start_date: datetime, end_date: datetime) -> None:
    """Write a range of dates again, a week at a time: after adding a feature, or mending values.

    The order of the weeks does not matter, since Redis keeps the newer row; of two rows with one
    event time the later write wins, which is how a mended value gets in. A run that was killed goes
    on where it stopped.
    """
    store, client, now = open_store(), connect_redis(), dataset.as_of()
    arrivals = Arrivals(store, client)
    journal = BackfillJournal(store, client, _utc(start_date), _utc(end_date))
    with out_of_memory_is_loud():
        for start, end in journal.remaining(CHUNK):
            console.print(f"  backfill {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
            for view in MATERIALIZED_VIEWS:
                arrivals.write(view, arrivals.between(view, start, end, known=now))
            journal.done(start)
        journal.close()


def validate_materialization() -> bool:
    """Compare every entity in Redis with the offline store, bit for bit; True when all agree."""
    arrivals = Arrivals(open_store(), connect_redis())
    wrong = 0
    for view in MATERIALIZED_VIEWS:
        keys = arrivals.entities(view)
        offline, online = offline_values(arrivals, view, keys), online_values(arrivals, view, keys)
        equal = (offline == online).fillna(False).astype(bool) | (offline.isna() & online.isna())
        differs = ~equal.all(axis=1)
        wrong += int(differs.sum())
        console.print(f"  {view}: {len(keys) - differs.sum():,} of {len(keys):,} entities agree")
        for key in keys[differs.to_numpy()].head(3).itertuples(index=False):
            console.print(f"    [red]{', '.join(key)} differs[/]")
    return wrong == 0


def offline_values(arrivals: Arrivals, view: str, keys: pd.DataFrame) -> pd.DataFrame:
    """What the offline store knew of each entity at the last run."""
    now = arrivals.seen_until(view)
    rows = keys.assign(event_timestamp=now, row=range(len(keys)))
    features = arrivals.references(view)
    answer = arrivals.store.get_historical_features(
        entity_df=rows, features=features, filter_by_created_timestamp=True
    ).to_df()
    ordered = answer.sort_values("row").reset_index(drop=True)
    return with_declared_types(ordered, arrivals.store)[arrivals.features(view)]


def online_values(arrivals: Arrivals, view: str, keys: pd.DataFrame) -> pd.DataFrame:
    """What Redis holds of each entity, read through Feast a thousand at a time."""
    features = arrivals.references(view)
    answers = []
    for start in range(0, len(keys), ENTITIES_PER_READ):
        rows = keys.iloc[start : start + ENTITIES_PER_READ].to_dict("records")
        answers.append(arrivals.store.get_online_features(features, rows).to_df())
    online = pd.concat(answers, ignore_index=True)
    return with_declared_types(online, arrivals.store)[arrivals.features(view)]


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
    console.print(f"Exercise 3: materialize {len(MATERIALIZED_VIEWS)} views to Redis")
    seconds = initial_materialization(days_back=7)
    record("initial_materialization_s", seconds, "s")
    console.print(f"  the last 7 days are in Redis after {seconds:.1f} s")
    record("incremental_materialization_s", incremental_materialization(), "s")
    if not validate_materialization():
        raise SystemExit("Redis and the offline store do not agree")
    monitor_materialization()


if __name__ == "__main__":
    run_script(main)
