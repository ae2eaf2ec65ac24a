"""A busy machine never fails a timed criterion, and one good round passes it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from checker.run.rounds import Clock, best_of_rounds
from checker.settings import CheckerSettings
from checker.verdict.outcome import MachineTooBusyError, Outcome

T = TypeVar("T")
LIMIT = 30
QUIET, BUSY = 9, 11  # below and above a third of the limit
GOOD, BAD = Outcome(True, "good", ""), Outcome(False, "bad", "")


@pytest.fixture
def config(tmp_path: Path) -> CheckerSettings:
    return CheckerSettings().model_copy(update={"timing_dir": tmp_path})


def one_by_one(*values: T) -> Callable[[], T]:
    given = iter(values)
    return lambda: next(given)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def clock(pauses: list[float]) -> Clock:
    """Return a clock on which time passes only by pauses."""
    return Clock(lambda: sum(pauses), pauses.append)


def test_the_first_good_round_passes_also_on_a_busy_machine(
    config: CheckerSettings, clock: Clock
) -> None:
    measure = one_by_one(BAD, GOOD)
    assert best_of_rounds(measure, lambda: BUSY, LIMIT, config, clock) is GOOD


def test_a_failure_counts_when_the_machine_was_quiet_before_and_after(
    config: CheckerSettings, clock: Clock
) -> None:
    measure = one_by_one(BAD, Outcome(False, "counted", ""), BAD)
    probe = one_by_one(QUIET, BUSY, QUIET, QUIET, BUSY, QUIET, BUSY)
    assert best_of_rounds(measure, probe, LIMIT, config, clock).measured == "counted"


def test_a_round_after_a_busy_one_waits_until_the_machine_is_quiet(
    config: CheckerSettings, clock: Clock, pauses: list[float]
) -> None:
    measure, probe = one_by_one(BAD, GOOD), one_by_one(*[BUSY] * 6, QUIET)
    assert best_of_rounds(measure, probe, LIMIT, config, clock) is GOOD
    assert sum(pauses) == 20


def test_a_machine_that_stays_busy_for_a_minute_gives_no_verdict(
    config: CheckerSettings, clock: Clock, pauses: list[float]
) -> None:
    message = "machine too busy: 11 .* less than 10, .* waiting 60 s"
    with pytest.raises(MachineTooBusyError, match=message):
        best_of_rounds(lambda: BAD, lambda: BUSY, LIMIT, config, clock)
    assert sum(pauses) == 60


def test_rounds_that_end_busy_are_no_verdict(config: CheckerSettings, clock: Clock) -> None:
    probe = one_by_one(*[QUIET, BUSY] * 3)
    with pytest.raises(MachineTooBusyError, match="machine too busy: 11"):
        best_of_rounds(lambda: BAD, probe, LIMIT, config, clock)
