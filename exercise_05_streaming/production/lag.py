"""The job's lag, and the end of a job whose lag grows beyond what its state remembers.

Flink forgets state by the clock of the job. Two records that change one tile are at most its five
minutes, the lateness and the time ahead apart; the job processes them that far apart, plus the
growth of its lag meanwhile. With a larger growth a tile would restart at 1, and a copy would count.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from confluent_kafka import KafkaException

from exercise_05_streaming.progress import JobOffsets
from exercise_05_streaming.topics import TRANSACTIONS, end_offsets
from exercise_05_streaming.windows import TILE_S
from lab.errors import UserError
from lab.settings import settings

Lags = dict[int, float]  # in seconds, by partition


def state_ttl() -> timedelta:
    """Return how long state must outlive the last record that changed it."""
    tile = timedelta(seconds=TILE_S)
    return tile + settings.allowed_lateness + settings.allowed_ahead + settings.max_lag


class LagExceeded(UserError):
    """The state may have forgotten what the next record needs."""


class LagLimit:
    """Compare the growth of the lag with its limit."""

    def __init__(
        self,
        lags: Callable[[], Lags],
        stopped_s: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`stopped_s` is the age of the checkpoint from which the job resumes."""
        self._read_lags, self._stopped_s, self._clock = lags, stopped_s, clock
        self._least: Lags = {}
        self._last: Lags = {}
        self._checked = clock()

    def check(self) -> None:
        """Raises LagExceeded. Call it again and again: a gap between calls counts as lag.

        A lag grows no faster than the clock, so the last one and the time since then are its most.
        A larger one is a record with a time of its producer.
        """
        now = self._clock()
        largest = {number: lag + now - self._checked for number, lag in self._last.items()}
        self._require(largest)
        read = self._read_lags().items()
        self._last = largest | {number: min(lag, largest.get(number, lag)) for number, lag in read}
        self._checked = now
        for number, lag in self._last.items():
            self._least[number] = min(lag, self._least.get(number, lag - self._stopped_s))
        self._require(self._last)

    def _require(self, lags: Lags) -> None:
        limit_s = settings.max_lag.total_seconds()
        if any(lag - self._least[number] > limit_s for number, lag in lags.items()):
            problem = f"the job has been behind for longer than its state remembers, {limit_s:g} s"
            raise LagExceeded(problem, "start it again: it reads the log from its beginning")


class JobLags(JobOffsets):
    """The lag of each partition: the age of the oldest record that the job has not reached."""

    def __call__(self) -> Lags:
        """Return the lag of each partition that has a committed offset and answers."""
        try:
            ends = end_offsets(self._consumer, TRANSACTIONS)
            offsets = self.committed(ends)
            lags = {n: self._lag(n, offsets[n], end) for n, end in ends.items() if offsets[n] >= 0}
        except KafkaException:
            return {}
        return {number: lag for number, lag in lags.items() if lag is not None}

    def _lag(self, partition: int, offset: int, end: int) -> float | None:
        if offset >= end:
            return 0
        record = self.record_after(partition, offset)
        if record is None:
            return None
        is_marker = record.error() is not None  # of a transaction, with no record behind it
        return 0 if is_marker else max(0, time.time() - record.timestamp()[1] / 1_000)
