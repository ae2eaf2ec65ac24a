"""A busy machine never fails a timed criterion, and one good round passes it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from checker.run.gauge import Gauge
from checker.run.rounds import best_of_rounds
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


def test_the_first_good_round_passes_also_on_a_busy_machine(config: CheckerSettings) -> None:
    measure, probe = one_by_one(BAD, GOOD), one_by_one(BUSY, BUSY, BUSY)
    assert best_of_rounds(measure, probe, LIMIT, config) is GOOD


def test_a_failure_counts_when_the_machine_was_quiet_before_and_after(
    config: CheckerSettings,
) -> None:
    measure = one_by_one(BAD, Outcome(False, "counted", ""), BAD)
    probe = one_by_one(QUIET, BUSY, QUIET, QUIET, BUSY, QUIET)
    assert best_of_rounds(measure, probe, LIMIT, config).measured == "counted"


def test_failures_of_a_busy_machine_are_no_verdict(config: CheckerSettings) -> None:
    measure, probe = one_by_one(BAD, BAD, BAD), one_by_one(*[BUSY, QUIET] * 3)
    with pytest.raises(MachineTooBusyError, match="machine too busy: 11"):
        best_of_rounds(measure, probe, LIMIT, config)


def test_later_rounds_wait_for_a_quiet_machine_a_minute_in_all(config: CheckerSettings) -> None:
    pauses: list[float] = []
    probe = one_by_one(BUSY, QUIET, *[BUSY] * 4, QUIET, QUIET)
    gauge = Gauge(probe, LIMIT / 3, 12, pauses.append)
    assert [gauge() for _ in range(4)] == [BUSY, QUIET, QUIET, QUIET]
    assert sum(pauses) == 20
    gauge.probe = lambda: BUSY
    with pytest.raises(MachineTooBusyError):
        best_of_rounds(lambda: BAD, gauge, LIMIT, config)
    assert sum(pauses) == 60
