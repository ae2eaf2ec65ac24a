"""The streaming pipeline: throughput, compared with no sink and with plain Python; freshness.

Throughput is that of a backlog of a minute or more. Flink's is counted from a third of it on, since
Java compiles until then, to the moment at which Redis has everyone's features.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.harness.figures import Figure
from lab.settings import settings
from lab.stack.kafka import private_kafka
from lab.stack.redis import private_redis

RUNS = "benchmarks.harness.stream_runs"
PEERS = (
    ("stream_vs_blackhole", "the same plan, no sink", "blackhole"),
    ("stream_vs_plain_python", "kafka-python consumers", "plain"),
)


@dataclass(frozen=True)
class Sizes:
    """The backlog's events and users; the rate at which freshness is measured, and how long."""

    events: int = 3_600_000
    users: int = 10_000
    fresh_rate: int = 1_000
    fresh_s: int = 40
    day_users: int = 10_000
    day_tiles: int = 72  # of each user: six hours of payments in every five minutes


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure throughput, then freshness, then the start of a writer."""
    with own_log() as log:
        yield from throughput(log, sizes)
    with own_log() as log:
        yield from freshness(log, sizes)
        start_s = run(log, "start", sizes.day_users, sizes.day_tiles)
        yield Figure("stream_writer_start_s", start_s, "s")


def throughput(log: Mapping[str, str], sizes: Sizes) -> Iterator[Figure]:
    """Compare the pipeline with the plan alone, and with plain Python."""
    kinds = ("fill", "blackhole", "redis", "plain")
    rates = {kind: run(log, kind, sizes.events, sizes.users) for kind in kinds}
    for name, peer, kind in PEERS:
        yield Figure.multiple(name, rates["redis"], "events/s", peer, rates[kind])


def freshness(log: Mapping[str, str], sizes: Sizes) -> Iterator[Figure]:
    """Measure the time from an event to the reading of it."""
    seconds = run(log, "fresh", sizes.fresh_rate, sizes.fresh_s)
    for percent in (50, 95, 99):
        name = f"stream_freshness_p{percent}_s"
        yield Figure(name, float(np.percentile(seconds, percent)), "s")


@contextmanager
def own_log() -> Iterator[Mapping[str, str]]:
    """Yield the variables of a Kafka and a build folder of their own."""
    with TemporaryDirectory(prefix="bench_stream_") as folder, private_kafka(Path(folder)) as kafka:
        yield {"LAB_KAFKA_PORT": str(kafka.port), "LAB_BUILD_DIR": folder}


def run(log: Mapping[str, str], kind: str, first: int, second: int, runs: str = RUNS) -> Any:
    """Return the result of a run, on a Redis that was empty."""
    command = [sys.executable, "-m", runs, kind, str(first), str(second)]
    with TemporaryDirectory() as folder, private_redis(Path(folder), maxmemory="4gb") as redis:
        env = {**os.environ, **log, "LAB_REDIS_PORT": str(redis.port)}
        piped = subprocess.PIPE
        done = subprocess.run(command, cwd=settings.root, env=env, stdout=piped, check=True)
    return json.loads(done.stdout)
