"""Materialization through FeatureStore.materialize: this project's engine and Feast's local one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from benchmarks.harness.child import Cost, in_child
from benchmarks.harness.figures import Figure
from benchmarks.harness.stores import FEASTS, OURS, Stores, materialize, open_store
from benchmarks.harness.timing import alternated, seconds
from benchmarks.harness.workload import Snapshots, write_snapshots
from lab.stack.redis import RedisServer, private_redis

TUNED = replace(
    FEASTS,
    name="feast_tuned",
    online_options={"skip_dedup": True},
    materialization={"online_write_batch_size": 10_000},
)
GROWTH = {
    "200k": (50_000, 200_000),
    "2m": (500_000, 2_000_000),
    "20m": (5_000_000, 20_000_000),
}
LOGGED_US, SLOW_LOG_LENGTH = 200, 100_000
PEERS = {"Feast's local engine": FEASTS, "Feast's local engine, tuned": TUNED}


@dataclass(frozen=True)
class Sizes:
    """Keys, rows and repeats; `growth` has keys and rows by what the figures call their number."""

    keys: int = 501_000
    rows: int = 2_000_000
    growth: Mapping[str, tuple[int, int]] = field(default_factory=lambda: GROWTH)
    redis_memory: str = "6gb"
    repeats: int = 3


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure against Feast's engine, then the longest script, memory and growth."""
    with TemporaryDirectory(prefix="bench_materialize_") as folder:
        table = write_snapshots("user", sizes.keys, sizes.rows, Path(folder))
        yield against_feast(table, sizes)
        runs = [longest_script(table, sizes) for _ in range(sizes.repeats)]
        yield Figure("materialize_longest_script_ms", min(runs), "ms")
    for name, (keys, rows) in sizes.growth.items():
        cost = cost_of(keys, rows, sizes)
        yield Figure(f"materialize_{name}_s", cost.seconds, "s")
        yield Figure(f"materialize_{name}_peak_gib", cost.peak_gib, "GiB")


def against_feast(table: Snapshots, sizes: Sizes) -> Figure:
    """Compare our time with the better of Feast's two, default and tuned."""
    sides = {
        side: lambda stores=stores: once(stores, table, sizes)
        for side, stores in {"ours": OURS, **PEERS}.items()
    }
    return Figure.of_slices("materialize_vs_feast_local", alternated(sides, sizes.repeats), "s")


def once(stores: Stores, table: Snapshots, sizes: Sizes) -> float:
    """Return the seconds of one materialization into an empty Redis of its own."""
    with TemporaryDirectory(prefix="bench_redis_") as temporary:
        folder = Path(temporary)
        with private_redis(folder, maxmemory=sizes.redis_memory) as server:
            store = open_store(stores, [table], folder, server)
            taken = seconds(lambda: materialize(store, table))
            require_all_keys(server, table)
    return taken


def require_all_keys(server: RedisServer, table: Snapshots) -> None:
    """Raise AssertionError unless Redis holds every key of the table, and no other."""
    with server.client() as client:
        stored = client.dbsize()
    assert stored == table.keys, f"Redis holds {stored} keys of {table.keys}"


def longest_script(table: Snapshots, sizes: Sizes) -> float:
    """Return the milliseconds of the longest script of a run, by Redis's own slow log.

    The log counts wall-clock time: a Redis that waits for a processor seems to be busy. So Redis
    has priority, and of several runs the least disturbed counts.
    """
    with TemporaryDirectory(prefix="bench_redis_") as temporary:
        folder = Path(temporary)
        with private_redis(folder, maxmemory=sizes.redis_memory) as server:
            with server.client() as client:
                log_scripts(client)
                run_first(int(client.info("server")["process_id"]))
            in_child(open_and_materialize, table, folder, server)
            with server.client() as client:
                slow = client.slowlog_get(SLOW_LOG_LENGTH)
    return max((entry["duration"] for entry in slow), default=LOGGED_US) / 1_000


def run_first(process: int) -> None:
    """Raise a process's priority, where this process may do that."""
    with suppress(PermissionError):
        os.sched_setscheduler(process, os.SCHED_FIFO, os.sched_param(1))


def log_scripts(client: redis.Redis) -> None:
    """Let the slow log keep each script from now on.

    It would keep the commands inside a script as well, and keeping them takes longer than they do.
    """
    client.config_set("slowlog-max-len", SLOW_LOG_LENGTH)
    client.config_set("slowlog-log-slower-than", LOGGED_US)
    client.slowlog_reset()


def cost_of(keys: int, rows: int, sizes: Sizes) -> Cost:
    """Return the cost of one materialization in a process of its own, Redis not counted."""
    with TemporaryDirectory(prefix="bench_materialize_") as temporary:
        folder = Path(temporary)
        table = write_snapshots("user", keys, rows, folder)
        with private_redis(folder, maxmemory=sizes.redis_memory) as server:
            cost = in_child(open_and_materialize, table, folder, server)
            require_all_keys(server, table)
    return cost


def open_and_materialize(table: Snapshots, folder: Path, server: RedisServer) -> None:
    """Do all work of a child process."""
    materialize(open_store(OURS, [table], folder, server), table)
