"""Timed criteria on a machine that is busy at first: later rounds wait until it is quiet."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from checker.run.rounds import QUIET, best_of_rounds
from checker.settings import CheckerSettings
from checker.verdict.outcome import Outcome

PAUSE_S = 5.0  # between two probes of a busy machine


@dataclass(frozen=True)
class Clock:
    """The time, and a pause in seconds."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass
class Gauge:
    """A probe of rounds, which call it before and after each.

    Before the second round and later ones it waits until the probe takes less than `below`, for
    `left_s` in all. After a round it never waits: that result decides whether a failure counts.
    """

    probe: Callable[[], float]
    below: float
    left_s: float
    clock: Clock = field(default_factory=Clock)
    calls: int = 0

    def __call__(self) -> float:
        self.calls += 1
        is_before_a_later_round = self.calls > 1 and self.calls % 2 == 1
        return self._when_quiet() if is_before_a_later_round else self.probe()

    def _when_quiet(self) -> float:
        deadline = self.clock.now() + self.left_s
        while (took := self.probe()) >= self.below and self.clock.now() + PAUSE_S <= deadline:
            self.clock.pause(PAUSE_S)
        self.left_s = deadline - self.clock.now()
        return took


def rounds_when_quiet(
    measure: Callable[[], Outcome],
    probe: Callable[[], float],
    limit: float,
    config: CheckerSettings,
) -> Outcome:
    """The outcome of `best_of_rounds`, whose later rounds wait, `timing_quiet_s` in all."""
    gauge = Gauge(probe, limit * QUIET, config.timing_quiet_s)
    return best_of_rounds(measure, gauge, limit, config)
