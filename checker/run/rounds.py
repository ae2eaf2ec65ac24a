"""Timed criteria: alone on this machine, in rounds, and never failed by a busy machine."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from checker.settings import CheckerSettings
from checker.verdict.outcome import MachineTooBusyError, Outcome
from lab.stack.lock import locked

QUIET = 1 / 3  # of the limit: what a bare probe may take in a round whose failure counts


def alone(config: CheckerSettings) -> AbstractContextManager[None]:
    """While it is open, no other submission is timed on this machine; it waits for its turn."""
    return locked(config.timing_dir, timeout_s=config.timing_turn_s)


def best_of_rounds(
    measure: Callable[[], Outcome],
    probe: Callable[[], float],
    limit: float,
    config: CheckerSettings,
) -> Outcome:
    """The first outcome that passes; else the last one of a round in which the machine was quiet.

    `probe` takes what `measure` takes, without the submission, in the unit of `limit`; it runs
    before and after. Raises MachineTooBusyError when no round was quiet.
    """
    counted, took = None, 0.0
    with alone(config):
        for _ in range(config.timed_rounds):
            before = probe()
            outcome = measure()
            if outcome.passed:
                return outcome
            took = max(before, probe())
            counted = outcome if took < limit * QUIET else counted
    if counted is None:
        raise MachineTooBusyError(
            f"machine too busy: {took:.3g} without the submission, where the limit is {limit:g}; "
            "try again when it is quiet"
        )
    return counted
