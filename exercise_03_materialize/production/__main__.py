"""Demonstrate the parts: python -m exercise_03_materialize.production [stores journal report].

It starts from empty views: a week until three hours ago, three incremental runs as an hourly job
makes them, and a backfill that resumes after a kill.
"""

import os
import sys
from datetime import timedelta

from rich.console import Console

from exercise_03_materialize.materialize import (
    CHUNK,
    VIEWS,
    backfill_features,
    incremental_materialization,
    initial_materialization,
    validate_materialization,
)
from exercise_03_materialize.production.journal import resumable_backfill
from exercise_03_materialize.production.online_report import (
    READS,
    ChangeCounts,
    clear_views,
    read_latency_ms,
    report_online_store,
)
from exercise_03_materialize.stored_values import offline_values
from lab import learn
from lab.errors import UserError, run_script
from lab.feature_store import connect_redis, open_store
from lab.figures import record
from lab.learn import as_of

PARTS = ("stores", "journal", "report")
HOURLY_RUNS, HOUR = 3, timedelta(hours=1)
WHY = """  An hour changes the entities with new values. The run after midnight UTC
  changes nearly all: each entity has one row a day, so that counts decay and
  no value expires. A backfill of stored rows changes nothing: an older row
  replaces no newer one."""

console = Console()


def choose_parts(names: list[str]) -> set[str]:
    """Return the named parts, all without names; "stores" selects the plug-ins."""
    if unknown := set(names) - set(PARTS):
        problem = f"exercise 3 has no production part {', '.join(sorted(unknown))}"
        raise UserError(problem, f"lab run 3 --production {','.join(PARTS)}")
    parts = set(names) or set(PARTS)
    if "stores" in parts:
        os.environ["LAB_STORES"] = "plugins"
        learn.LearnerSettings.__init__(learn.settings)  # reads the environment again
    return parts


def run_parts(parts: set[str]) -> None:
    """Materialize, backfill and validate with the chosen parts; count the changes of each step."""
    store, client, now = open_store(), connect_redis(), as_of()
    console.print(f"Exercise 3: {len(VIEWS)} views to Redis, with {', '.join(sorted(parts))}")
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
        console.print(f"  what is new until {moment:%H:%M}: {rows:,} rows in {seconds:.1f} s")
    backfill = resumable_backfill if "journal" in parts else backfill_features
    backfill(now - 2 * CHUNK, now)
    changes.add("backfill")
    console.print(f"  entities whose row in Redis changed\n{changes.steps}\n{WHY}", highlight=False)
    if not validate_materialization():
        raise SystemExit("Redis and the offline store do not agree")
    p50, p95 = read_latency_ms(offline_values(store, VIEWS[0], now).index)
    record("online_read_p50_ms", p50, "ms")
    record("online_read_p95_ms", p95, "ms")
    console.print(f"  {READS} reads of users through Feast: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    if "report" in parts:
        report_online_store()


def main() -> None:
    run_parts(choose_parts(sys.argv[1:]))


if __name__ == "__main__":
    run_script(main)
