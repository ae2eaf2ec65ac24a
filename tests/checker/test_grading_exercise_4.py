"""Each wrong submission of exercise 4 fails what it gets wrong, and nothing else."""

from pathlib import Path

import psutil
import pytest

from checker.verdict.outcome import Status
from tests.checker.conftest import AssertFailsAlone, Grade
from tests.checker.matrix import cases
from tests.checker.mutants import Mutant

MAIN = Path("exercise_04_serving", "app", "main.py")


def running() -> set[int]:
    """Return the processes of this machine, without zombies."""
    found = psutil.process_iter(["status"])
    return {process.pid for process in found if process.info["status"] != psutil.STATUS_ZOMBIE}


@pytest.mark.parametrize("mutant", cases(4))
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: AssertFailsAlone
) -> None:
    assert_fails_alone(mutant)


def test_a_server_that_does_not_come_up_leaves_no_process_behind(
    plain: Path, tmp_path: Path, grade: Grade
) -> None:
    started = tmp_path / "pid"
    (plain / MAIN).write_text(
        "import pathlib, subprocess, time\n"
        "helper = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"pathlib.Path({str(started)!r}).write_text(str(helper.pid))\n"
        "time.sleep(600)\n"
    )
    card = grade(plain, 4, serving_start_s=5)
    first, *others = card.results
    assert first.status is Status.FAIL
    assert "gave no 200 at /health in time" in first.message
    assert {result.status for result in others} == {Status.SKIPPED}
    assert int(started.read_text()) not in running()
