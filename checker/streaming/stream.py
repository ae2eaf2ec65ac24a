"""A submission's streaming job on a Kafka of its own: started, fed, killed and read."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property

import pandas as pd

from checker.sandbox import untrusted
from checker.sandbox.process import log_tail
from checker.streaming.events import Event, nonces
from checker.streaming.flink import FlinkProcesses, flink_with_connector
from checker.streaming.topic import PARTITIONS, Topic, bytes_on_disk
from checker.streaming.twins import Twins
from checker.streaming.values import Read, expiring, reader
from checker.submission.scripts import scripts
from checker.submission.submission import Submission
from checker.verdict.outcome import NotAttemptedError, SubmissionError
from lab.settings import utc_now

EXERCISE = 5
SCRIPT = "flink_streaming_features.py"
DEFAULT_START = f"python {SCRIPT}"
BEAT_S = 1.0
POLL_S = 0.25
WINDOW_S = 300.0
OUT_OF_THE_HOUR = timedelta(minutes=75)
SOME_USERS = 20
DEFAULT_KAFKA = re.compile(rb"\b(localhost|127\.0\.0\.1|kafka|broker):9092\b")
REWRITTEN = {".py", ".sql", ".yaml", ".yml", ".toml", ".json", ".properties", ".sh"}
HINT = "Kafka is at $LAB_KAFKA_PORT, Redis at $LAB_REDIS_PORT: docs/errata.md#no-redis-connector"


class Stream:
    """The topic, and the job that reads it.

    While one waits, an event a second goes to each partition: event time goes on, as in a shop.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.config = submission.config
        self.command = start_command(submission)
        self.broker = submission.sandbox.kafka()
        self.earlier: list[Event] = []
        self.topic = Topic(self.broker, self.config.stack_timeout_s)
        self.known_users = self._with_history()
        self.twins = Twins(submission.names.allowed_lateness_s)
        self._beats: list[str] = []
        self._next_beat = 0.0
        _point_at(self.broker.bootstrap, submission)
        self.start()

    # ---- The job ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the job's command in the exercise's folder, the first time or again."""
        flink = flink_with_connector(self.submission.sandbox.directory / "flink", self.config)
        self.child = self.submission.start(
            self.command,
            EXERCISE,
            do="spawn",
            LAB_KAFKA_PORT=str(self.broker.port),
            LAB_BUILD_DIR=str(self.submission.root / "build"),
            FLINK_HOME=str(flink),
        )
        self.flink = FlinkProcesses(self.child, self.submission.sandbox.folders.root)
        self._beats = nonces(PARTITIONS)

    def kill(self) -> None:
        """End all its processes at once, as kill -9 does."""
        self.child.close()

    @property
    def is_alive(self) -> bool:
        """Return whether its command is still running, or has left a Flink that is."""
        return not self.child.has_ended or self.flink.has_work()

    def wait_until_ready(self) -> None:
        """Wait for a value of an event that was sent since the start.

        Raises SubmissionError when none comes, though the five minutes were over.
        """
        patience_s = max(self.config.streaming_start_s, self.until_results_s())
        self.pause_until(lambda: self.has_values(self._beats) or not self.is_alive, patience_s)
        if not self.has_values(self._beats):
            raise self.error("wrote no value that can be read" if self.is_alive else "ended")

    def error(self, fate: str, hint: str = HINT) -> SubmissionError:
        """Return an error with the fate of the job and its last output."""
        return SubmissionError(f"`{self.command}` {fate}", hint, log_tail(self.submission.log))

    # ---- Its events, and the time between them ---------------------------------------------------

    def send(self, events: Iterable[Event]) -> list[Event]:
        """Send events, and wait until Kafka has them; returns them."""
        return self.topic.send(events)

    def pause(self, seconds: float = POLL_S) -> None:
        """Wait; events of users that no check queries go on.

        Raises SubmissionError when Kafka's log has become too large.
        """
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_S
            self._beat(utc_now())
        time.sleep(seconds)

    def pause_until(self, is_met: Callable[[], bool], limit_s: float) -> bool:
        """Let time pass until a condition is met; whether it was in time."""
        deadline = time.monotonic() + limit_s
        while not is_met():
            if time.monotonic() > deadline:
                return False
            self.pause()
        return True

    def await_window(self, *, after_s: float = 0, before_s: float) -> None:
        """Wait for a moment that has so many seconds of its five minutes behind it, and ahead."""
        while not before_s <= self.window_left_s() <= WINDOW_S - after_s:
            self.pause()

    def await_later_window(self, *, before_s: float) -> None:
        """Wait until no five minutes, by the clock or rolling, hold the `earlier` events."""
        newest = max(event.at for event in self.earlier)
        over = newest + timedelta(seconds=WINDOW_S)
        self.pause_until(lambda: utc_now() > over, 2 * WINDOW_S)
        self.await_window(before_s=before_s)

    def _beat(self, now: datetime) -> None:
        self.send(Event(user, now, 1.0, True, n) for n, user in enumerate(self._beats))
        if self.earlier:
            self.send(self.twins.due(now, self.window_left_s()))
        if bytes_on_disk(self.broker.data) > self.config.disk_limit_gib * 2**30:
            self.kill()
            raise self.error(f"filled Kafka's log: over {self.config.disk_limit_gib:g} GiB")

    def _with_history(self) -> list[str]:
        """Return users with payments at times, Kafka's included, that no graded window holds."""
        users, at = nonces(SOME_USERS), utc_now() - OUT_OF_THE_HOUR
        self.topic.send((Event(user, at, 3_000.0, is_approved=False) for user in users), at)
        return users

    def window_left_s(self) -> float:
        """Until the running five minutes are over."""
        return WINDOW_S - utc_now().timestamp() % WINDOW_S

    def until_results_s(self) -> float:
        """Until a result must be there, be it that of the running five minutes at their end."""
        return self.window_left_s() + self.config.streaming_after_window_s

    # ---- Its values ------------------------------------------------------------------------------

    def values(self, users: Sequence[str]) -> pd.DataFrame:
        """The features of users, by the brief's names: a row each, null where there is none."""
        return self._read(users)

    def has_values(self, users: Sequence[str]) -> bool:
        """Return whether any of the users has a value."""
        return bool(self.values(users).notna().any(axis=None))

    def expiring(self, users: Sequence[str]) -> int:
        """Return how many of the users have a row with a TTL."""
        return expiring(self.submission, users)

    @cached_property
    def _read(self) -> Read:
        return reader(self.submission)


def running_stream(submission: Submission) -> Stream:
    """The submission's job: the one that was started, or else one started now.

    Raises NotAttemptedError when there is none to start.
    """
    return submission.running(Stream) or submission.remember(Stream(submission))


def start_command(submission: Submission) -> str:
    """Return the command that starts its job; NotAttemptedError when there is none yet."""
    folder = submission.exercise(EXERCISE)
    if submission.names.stream:
        return submission.names.stream
    if SCRIPT not in {file.name for file in scripts(folder)}:
        raise NotAttemptedError(f"no {SCRIPT} in {folder.name}, and no [streaming] start")
    return DEFAULT_START


def _point_at(kafka: str, submission: Submission) -> None:
    """Write the grader's Kafka where the submission names the usual one."""
    for path in submission.exercise(EXERCISE).rglob("*"):
        if path.suffix in REWRITTEN and path.is_file():
            content = untrusted.content(path, submission.root)
            pointed = DEFAULT_KAFKA.sub(kafka.encode(), content)
            if pointed != content:
                with untrusted.written(path, submission.root) as file:
                    file.write(pointed)
