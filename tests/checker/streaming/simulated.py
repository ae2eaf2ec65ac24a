"""A stream without Kafka, Flink and Redis: a job of a few lines, and a clock that jumps."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from checker.settings import CheckerSettings
from checker.streaming.events import FEATURES, Event, nonces
from checker.streaming.stream import SOME_USERS, Stream
from checker.streaming.twins import Twins
from checker.submission.names import Names
from checker.verdict.outcome import SubmissionError

START = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
LATENESS_S = 60
HOUR = 12  # in tiles
SMALLER = {"streaming_events": 150, "streaming_users": 30}


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Record:
    """An event, and when Kafka received it."""

    event: Event
    received: datetime


Records = Sequence[Record]
Window = Callable[[Records, datetime], Records]
Aggregate = Callable[[Records], float]


def tile(at: datetime) -> int:
    return int(at.timestamp() // 300)


def tumbling(records: Records, now: datetime) -> Records:
    return [r for r in records if tile(r.event.at) == tile(now)]


def sliding(records: Records, now: datetime) -> Records:
    return [r for r in records if tile(r.event.at) > tile(now) - HOUR]


def amounts(records: Records) -> list[float]:
    return [r.event.amount for r in records]


def declined(records: Records) -> float:
    return sum(not r.event.is_approved for r in records)


def average(records: Records) -> float:
    return float(np.mean(amounts(records)))


RIGHT: Mapping[str, tuple[Window, Aggregate]] = {
    "transaction_count_5m": (tumbling, len),
    "total_amount_5m": (tumbling, lambda records: sum(amounts(records))),
    "avg_amount_5m": (tumbling, average),
    "max_amount_5m": (tumbling, lambda records: max(amounts(records))),
    "declined_count_5m": (tumbling, declined),
    "transaction_count_1h": (sliding, len),
    "avg_amount_1h": (sliding, average),
}


@dataclass
class Job:
    """A job: the window and the aggregate of each feature, the events that it accepts, its rows."""

    features: Mapping[str, tuple[Window, Aggregate]] = field(default_factory=lambda: RIGHT)
    lateness_s: float = LATENESS_S
    copies_after_restart: int = 1
    ttl_s: float | None = 3_600
    needs_flink: bool = True

    def accepts(self, record: Record) -> bool:
        return (record.received - record.event.at).total_seconds() <= self.lateness_s

    def row(self, records: Records, now: datetime) -> dict[str, float]:
        """Return the values of a user; NaN where a window is empty or the row has expired."""
        accepted = [r for r in records if self.accepts(r)]
        newest = max((r.received for r in accepted), default=now)
        expired = self.ttl_s is not None and (now - newest).total_seconds() > self.ttl_s
        row = {}
        for name, (window, aggregate) in self.features.items():
            found = [] if expired else window(accepted, now)
            row[name] = aggregate(found) if found else np.nan
        return row


class SimulatedStream(Stream):
    """The interface of a stream that checks use, answered by a Job."""

    def __init__(self, job: Job, clock: Clock, folder: Path) -> None:
        self.job, self.clock = job, clock
        self.config = CheckerSettings().model_copy(update=SMALLER)
        names = Names(allowed_lateness_s=LATENESS_S)
        hidden = SimpleNamespace(seed=11)
        running: Callable[[type], SimulatedStream] = lambda _: self  # noqa: E731
        stub: Any = SimpleNamespace(
            names=names, hidden=hidden, config=self.config, running=running, log=""
        )
        self.submission, self.command = stub, "python job.py"
        flink: Any = SimpleNamespace(suspended=self._suspended)
        self.flink = flink
        broker: Any = SimpleNamespace(data=folder)
        self.broker = broker
        self.earlier = []
        self.twins = Twins(LATENESS_S)
        self.known_users, self._beats, self._next_beat = nonces(SOME_USERS), [], 0.0
        self._records: dict[str, list[Record]] = {}
        self._stopped: list[Record] | None = None
        at = clock.now() - timedelta(minutes=75)
        self._receive([Record(Event(user, at, 3_000.0, False), at) for user in self.known_users])

    def start(self) -> None:
        """Read the log again, as a job without a checkpoint does."""
        for user, records in self._records.items():
            self._records[user] = records * self.job.copies_after_restart

    def kill(self) -> None:
        """Nothing is lost."""

    def wait_until_ready(self) -> None:
        """Return at once: a simulated job is always ready."""

    def error(self, fate: str, hint: str = "") -> Any:
        return SubmissionError(fate, hint)

    def send(self, events: Iterable[Event]) -> list[Event]:
        sent = list(events)
        self._receive([Record(event, self.clock.now()) for event in sent])
        return sent

    def values(self, users: Sequence[str]) -> pd.DataFrame:
        now = self.clock.now()
        rows = [self.job.row(self._records.get(user, []), now) for user in users]
        return pd.DataFrame(rows, index=list(users), columns=list(FEATURES))

    def expiring(self, users: Sequence[str]) -> int:
        return 0 if self.job.ttl_s is None else len(users)

    def _receive(self, records: Iterable[Record]) -> None:
        for record in records:
            if self._stopped is not None and self.job.needs_flink:
                self._stopped.append(record)
            else:
                self._records.setdefault(record.event.user, []).append(record)

    @contextmanager
    def _suspended(self) -> Iterator[None]:
        self._stopped = []
        yield
        waiting, self._stopped = self._stopped, None
        self._receive(waiting)
