"""The streaming pipeline with many users: the size of its state, and throughput."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import stream
from benchmarks.harness.figures import Figure

RUNS = "benchmarks.harness.state_runs"
DAY = ("checkpoint_mib", "savepoint_mib")


@dataclass(frozen=True)
class Sizes:
    """The events of each run; the users of the throughput runs, and of the run of a day."""

    events: int = 1_200_000
    users: tuple[int, ...] = (1_000, 30_000, 1_000_000)
    day_users: int = 100_000


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure the state of a day, then throughput by the number of users."""
    day = run("day", sizes.events, sizes.day_users)
    for what in DAY:
        yield Figure(f"stream_state_day_of_{sizes.day_users}_users_{what}", day[what], "MiB")
    for users in sizes.users:
        yield Figure(f"stream_state_{users}_users", run("rate", sizes.events, users), "events/s")


def run(kind: str, events: int, users: int) -> Any:
    """Return the result of a run, on a Kafka and a Redis of its own."""
    with stream.own_log() as log:
        return stream.run(log, kind, events, users, RUNS)
