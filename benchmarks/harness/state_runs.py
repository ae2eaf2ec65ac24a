"""One measurement of the streaming pipeline with many users, on the settings' Kafka and Redis.

    python -m benchmarks.harness.state_runs rate|day EVENTS USERS

Prints one JSON value, as stream_runs does.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from benchmarks.harness.stream_runs import (
    JOB,
    offsets_read,
    online,
    progress_after,
    rate_since,
    running,
    send_backlog,
    wait_until,
)
from exercise_05_streaming.production.redis_sink import VERSION_FIELD
from feast_plugins.redis_encoding import entity_key
from lab.settings import settings

BACKLOG, DAY = timedelta(minutes=20), timedelta(hours=24)
FEW, SAMPLE = 10, 1_000
USERS_AT_ONCE = 10_000
MIB = 2**20


def rate(events: int, users: int) -> float:
    """Return events a second until Redis has everyone's features; Flink's start is not counted."""
    send_backlog(events, BACKLOG, lambda number: number % users)
    with running(JOB):
        begun, read = progress_after(0)
        wait_until(lambda: is_written(events, users))
        measured = rate_since(begun, events - read)
        require_all_written(events, users)
    return measured


def day(events: int, users: int) -> Mapping[str, float]:
    """Return the size of a day's state on disk, in MiB."""
    send_backlog(events, DAY, lambda number: number % users)
    with running(JOB):
        wait_until(lambda: is_written(events, users))
        require_all_written(events, users)
        wait_until(lambda: offsets_read() >= events)
        checkpoint = mib(newest_checkpoint())
    (savepoint,) = folders("savepoints/savepoint-*")
    return {"checkpoint_mib": checkpoint, "savepoint_mib": mib(savepoint)}


def is_written(events: int, users: int) -> bool:
    """Return True if Redis has all users, and all events of a sample: a query of all is slow."""
    sample = range(0, users, max(users // SAMPLE, 1))
    few = sample[:: max(len(sample) // FEW, 1)]

    def are_right(some: range) -> bool:
        return events_of(some) == [len(range(user, events, users)) for user in some]

    return online()[0].dbsize() >= users and are_right(few) and are_right(sample)


def require_all_written(events: int, users: int) -> None:
    """Wait until Redis has the events of all users; the sample's events are there already."""
    parts = [range(n, min(n + USERS_AT_ONCE, users)) for n in range(0, users, USERS_AT_ONCE)]
    wait_until(lambda: sum(sum(events_of(part)) for part in parts) == events)


def events_of(users: Iterable[int]) -> list[int]:
    """Return the events of a day and the day before in Redis, by user: its version counts them."""
    client, project = online()
    pipe = client.pipeline(transaction=False)
    for user in users:
        pipe.hget(entity_key(project, "user_id", f"user_{user}"), VERSION_FIELD)
    return [int(version.split()[1]) % 2**32 if version else 0 for version in pipe.execute()]


def newest_checkpoint() -> Path:
    """Return the folder of the last complete checkpoint."""
    complete = (metadata.parent for metadata in folders("*/chk-*/_metadata"))
    return max(complete, key=lambda folder: int(folder.name.partition("-")[2]))


def folders(pattern: str) -> list[Path]:
    """Return the folders of the job's state that match a path."""
    return list((settings.build_dir / "flink" / "checkpoints").glob(f"*/{pattern}"))


def mib(folder: Path) -> float:
    """Return the size of all its files in MiB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MIB


RUNS: dict[str, Callable[[int, int], object]] = {"rate": rate, "day": day}


def main() -> None:
    what, events, users = sys.argv[1:]
    print(json.dumps(RUNS[what](int(events), int(users))))


if __name__ == "__main__":
    main()
