"""Timed criteria: alone on this machine, in rounds, and never failed by a busy machine."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from checker.settings import CheckerSettings
from checker.verdict.outcome import MachineTooBusyError, Outcome
from lab.stack.lock import locked

QUIET = 1 / 3  # of the limit: what a bare probe may take in a round whose failure counts
PAUSE_S = 5.0  # between two looks at a busy machine


@dataclass(frozen=True)
class Clock:
    """How the time is read, and how it passes."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass
class Gauge:
    """Whether the machine is quiet, by a probe that then takes less than `below`."""

    probe: Callable[[], float]
    below: float
    left_s: float
    clock: Clock = field(default_factory=Clock)
    busy: float = 0.0  # what the probe took last on a busy machine

    def is_quiet(self) -> bool:
        took = self.probe()
        self.busy = self.busy if took < self.below else took
        return took < self.below

    def becomes_quiet(self) -> bool:
        """Wait for it, all calls together for `left_s`; the last answer."""
        deadline = self.clock.now() + self.left_s
        while not (quiet := self.is_quiet()) and self.clock.now() + PAUSE_S <= deadline:
            self.clock.pause(PAUSE_S)
        self.left_s = deadline - self.clock.now()
        return quiet


def alone(config: CheckerSettings) -> AbstractContextManager[None]:
    """While it is open, no other submission is timed on this machine; it waits for its turn."""
    return locked(config.timing_dir, timeout_s=config.timing_turn_s)


def best_of_rounds(
    measure: Callable[[], Outcome],
    probe: Callable[[], float],
    limit: float,
    config: CheckerSettings,
    clock: Clock | None = None,
) -> Outcome:
    """The first outcome that passes; else the last one of a round in which the machine was quiet.

    `probe` takes what `measure` takes, without the submission, in the unit of `limit`; it runs
    before and after. After a first failure the rounds wait for a quiet machine, all together for
    `timing_quiet_s`. Raises MachineTooBusyError when no round was quiet.
    """
    gauge, counted = Gauge(probe, limit * QUIET, config.timing_quiet_s, clock or Clock()), None
    with alone(config):
        for turn in range(config.timed_rounds):
            was_quiet = gauge.becomes_quiet() if turn else gauge.is_quiet()
            outcome = measure()
            if outcome.passed:
                return outcome
            counted = outcome if gauge.is_quiet() and was_quiet else counted
    if counted is None:
        raise MachineTooBusyError(
            f"machine too busy: {gauge.busy:.3g} without the submission, where a quiet one takes "
            f"less than {gauge.below:.3g}, a third of the limit; also after waiting "
            f"{config.timing_quiet_s - gauge.left_s:.0f} s; try again when it is quiet"
        )
    return counted
