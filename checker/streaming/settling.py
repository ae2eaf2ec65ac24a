"""Waits until a job's values are right, or until it is plain that they will not be."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from checker.streaming.events import FEATURES, HOUR
from checker.streaming.stream import Stream
from checker.streaming.twins import AFTER_S, BEFORE_S
from checker.verdict.equality import differences, equal_rows
from checker.verdict.outcome import CounterExample

# Once the five minutes are over, those so far may be zero again; the hour still has them all.
HOLD_S = 3.0
POLL_S = 0.5


@dataclass(frozen=True)
class Settled:
    """The values of users, the expected ones, and the features that are compared."""

    expected: pd.DataFrame
    got: pd.DataFrame
    judged: list[str]

    @property
    def right(self) -> pd.Series:
        """Return whether each user's values are right, by user."""
        right = equal_rows(self.expected, self.got, self.judged)
        return right.set_axis(self.expected.index)

    def examples(self) -> list[CounterExample]:
        """Up to three users whose values are not."""
        users = self.expected.index.to_frame(name="user_id")
        return differences(self.expected, self.got, self.judged, of=users)


def settled(stream: Stream, expected: pd.DataFrame, features: Sequence[str] = FEATURES) -> Settled:
    """Return the values of the users of `expected` once `features` are right and stay so.

    Else as they are when they have long not changed, or when the window should have its results.
    """
    patience_s = stream.config.streaming_settle_s
    began = changed = time.monotonic()
    due = began + max(stream.until_results_s(), 2 * patience_s)
    over = began + stream.window_left_s()
    users = list(expected.index)
    last = Settled(expected, stream.values(users), list(features))
    while time.monotonic() < due:
        stream.pause(POLL_S)
        judged = features if time.monotonic() < over else [f for f in features if f in HOUR]
        now = Settled(expected, stream.values(users), list(judged))
        changed = changed if now.got.equals(last.got) else time.monotonic()
        last, unchanged_s = now, time.monotonic() - changed
        has_values = bool(now.got.notna().any(axis=None))
        if unchanged_s > (HOLD_S if now.right.all() else patience_s) and has_values:
            break
    return last


def settled_twins(stream: Stream) -> Settled:
    """Return the values of users with a late event, and of their twins, whose event was in time.

    Empty where no late event could be sent around the end of a window.
    """
    twins, judged = stream.twins, list(FEATURES)
    stream.pause_until(lambda: not twins.is_half_sent, BEFORE_S + AFTER_S + HOLD_S)
    if not twins.sent:
        nobody = pd.DataFrame(columns=judged)
        return Settled(nobody, nobody, judged)

    def read() -> Settled:
        values = stream.values([*twins.on_time, *twins.late])
        expected = values.loc[twins.on_time].set_axis(twins.late)
        expected["transaction_count_1h"] = 2
        return Settled(expected, values.loc[twins.late], judged)

    stream.pause_until(lambda: bool(read().right.all()), stream.config.streaming_settle_s)
    return read()
