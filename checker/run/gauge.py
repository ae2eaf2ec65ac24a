"""Timed criteria on a machine that is busy at first: later rounds wait until it is quiet."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from checker.run.rounds import QUIET, best_of_rounds
from checker.settings import CheckerSettings
from checker.verdict.outcome import Outcome

PAUSE_S = 5.0


@dataclass
class Gauge:
    """A probe of rounds, which call it before and after each.

    Before the second round and later ones it pauses until the probe takes less than `below`,
    `pauses` times in all. After a round it never does: that value decides if a failure counts.
    """

    probe: Callable[[], float]
    below: float
    pauses: int
    pause: Callable[[float], None] = time.sleep
    calls: int = 0

    def __call__(self) -> float:
        self.calls += 1
        is_before_a_later_round = self.calls > 1 and self.calls % 2 == 1
        took = self.probe()
        while is_before_a_later_round and took >= self.below and self.pauses:
            self.pauses -= 1
            self.pause(PAUSE_S)
            took = self.probe()
        return took


def rounds_when_quiet(
    measure: Callable[[], Outcome],
    probe: Callable[[], float],
    limit: float,
    config: CheckerSettings,
) -> Outcome:
    """The outcome of `best_of_rounds`, whose later rounds wait, `timing_quiet_s` in all."""
    gauge = Gauge(probe, limit * QUIET, int(config.timing_quiet_s / PAUSE_S))
    return best_of_rounds(measure, gauge, limit, config)
