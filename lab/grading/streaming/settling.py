"""Waits until a job's values are right, or until it is plain that they will not be."""

import time
from dataclasses import dataclass

import pandas as pd

from lab.grading.compare import differences, equal_rows
from lab.grading.outcome import CounterExample
from lab.grading.streaming.events import FEATURES, HOUR
from lab.grading.streaming.stream import Stream

HOLD_S = 3.0
POLL_S = 0.5


@dataclass(frozen=True)
class Settled:
    """The values of users beside the right ones, and the features by which they were judged."""

    expected: pd.DataFrame
    got: pd.DataFrame
    judged: list[str]

    @property
    def right(self) -> pd.Series:
        """Whether each user's values are right, by user."""
        right = equal_rows(self.expected, self.got, self.judged)
        return right.set_axis(self.expected.index)

    def examples(self) -> list[CounterExample]:
        """Up to three users whose values are not."""
        users = self.expected.index.to_frame(name="user_id")
        return differences(self.expected, self.got, self.judged, of=users)


def settled(stream: Stream, expected: pd.DataFrame) -> Settled:
    """The values of the users of `expected` once they are right and stay so.

    Else as they are when they have long not changed, or when the results of the window are due.
    """
    due = time.monotonic() + max(stream.until_results_s(), stream.config.streaming_settle_s)
    left_s = stream.window_left_s()
    began = changed = time.monotonic()
    last = Settled(expected, stream.values(list(expected.index)), list(FEATURES))
    while time.monotonic() < due:
        stream.pause(POLL_S)
        is_over = time.monotonic() - began > left_s
        now = Settled(expected, stream.values(list(expected.index)), judged(is_over))
        if not now.got.equals(last.got):
            changed = time.monotonic()
        last = now
        still_s = time.monotonic() - changed
        if now.right.all() and still_s > HOLD_S:
            break
        if now.got.notna().any(axis=None) and still_s > stream.config.streaming_settle_s:
            break
    return last


def judged(is_over: bool) -> list[str]:
    """Once the five minutes are over, what counts them so far is zero; the hour still has them."""
    return list(HOUR if is_over else FEATURES)
