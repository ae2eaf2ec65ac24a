"""Each wrong submission of exercise 5 fails what it gets wrong, and nothing else.

Each takes two minutes or more, so CI tries one of the first three criteria, one of the others, and
what has changed; `make matrix ONLY=test_grading_exercise_5` tries all.
"""

from pathlib import Path

import pytest

from checker.verdict.outcome import Status
from tests.checker.conftest import AssertFailsAlone, Grade
from tests.checker.matrix import cases
from tests.checker.mutants import Mutant

FOLDER = Path("exercise_05_streaming")

EARLY = ("5.1", "5.2", "5.3")

# 5.6 waits for five minutes to pass, and 5.4 may take three rounds: they are in `make matrix` only.
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(3_600)]


@pytest.mark.parametrize("mutant", cases(5, one_of=[EARLY]))
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: AssertFailsAlone
) -> None:
    assert_fails_alone(mutant)


def test_a_command_that_ends_reports_why(plain: Path, grade: Grade) -> None:
    names = plain / "submission.toml"
    names.write_text(
        names.read_text().replace("[streaming]", '[streaming]\nstart = "python job.py"')
    )
    (plain / FOLDER / "job.py").write_text("raise SystemExit('no such table')\n")
    card = grade(plain, 5)
    first, *others = card.results
    assert first.status is Status.FAIL
    assert first.message == "`python job.py` ended"
    assert {result.status for result in others} == {Status.SKIPPED}
