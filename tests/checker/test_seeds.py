"""Over twenty seeds the reference passes, and the mutants of timed criteria fail: `make seeds`.

At the thresholds in force, or those that a mutant's entry sets; alone on the machine, in hours.
`make seeds ONLY="exercise_3 or 3.2"` takes some of them.
"""

from pathlib import Path

import pytest

from checker.hidden.hidden_data import HiddenData
from checker.hidden.hidden_source import make_hidden_data
from checker.run.runner import Grader, criteria_of
from checker.sandbox.sandbox import Sandbox
from checker.settings import CheckerSettings
from checker.submission.submission import Submission
from checker.verdict.brief import BY_ID, EXERCISES, with_needs
from checker.verdict.criterion import checks_in
from checker.verdict.outcome import Status
from checker.verdict.results import Result
from lab.settings import ROOT, utc_now
from tests.checker.mutants import Mutant, copy_plain, copy_reference, mutants, with_tables

SEEDS = range(1, 21)
TIMED = ("3.2", "4.2", "4.6")
MUTANTS = [m for e in EXERCISES for m in mutants(e) if m.criterion in TIMED]
NEVER_FRESH = [m for m in mutants(5) if m.criterion == "5.4"]

pytestmark = [pytest.mark.seeds, pytest.mark.timeout(3_600)]


@pytest.fixture(scope="module")
def in_force(tmp_path_factory: pytest.TempPathFactory) -> CheckerSettings:
    """Return the thresholds as they are, on simulated data."""
    return CheckerSettings().model_copy(update={"data_dir": tmp_path_factory.mktemp("no_data")})


@pytest.fixture(scope="module", params=SEEDS)
def hidden_data(
    request: pytest.FixtureRequest,
    in_force: CheckerSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> HiddenData:
    folder = tmp_path_factory.mktemp("hidden")
    return make_hidden_data(folder, request.param, utc_now(), in_force)


@pytest.mark.parametrize("exercise", EXERCISES, ids="exercise_{}".format)
def test_the_reference_passes(
    exercise: int, box: Sandbox, hidden_data: HiddenData, in_force: CheckerSettings, tmp_path: Path
) -> None:
    copy_reference(tmp_path)
    with_tables(tmp_path, hidden_data.directory)
    card = Grader(box, hidden_data, in_force).grade(tmp_path, criteria_of(exercise))
    assert {r.criterion.id: described(r) for r in card.results if r.status is not Status.PASS} == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_of_what_is_timed_fails(
    mutant: Mutant, box: Sandbox, hidden_data: HiddenData, in_force: CheckerSettings, tmp_path: Path
) -> None:
    grader = Grader(box, hidden_data, in_force.model_copy(update=mutant.limits))
    folder = wrong(mutant, tmp_path / "wrong")
    needs = BY_ID[mutant.criterion].needs
    *met, result = grader.grade(folder, [*needs, mutant.criterion]).results
    assert {r.criterion.id: described(r) for r in met if r.status is not Status.PASS} == {}
    assert result.status is Status.FAIL, described(result)


@pytest.mark.kafka
@pytest.mark.parametrize("mutant", NEVER_FRESH, ids=str)
def test_a_mutant_of_freshness_fails(
    mutant: Mutant, box: Sandbox, in_force: CheckerSettings, tmp_path: Path
) -> None:
    """The test grades it once per seed; 5.4 uses no data of the seed: its users are new."""
    (tmp_path / "hidden").mkdir()
    hidden = make_hidden_data(tmp_path / "hidden", SEEDS[0], utc_now(), in_force)
    folder = wrong(mutant, tmp_path / "wrong")
    box.renew()
    submission, checks = Submission(folder, box, hidden, in_force), checks_in(ROOT)
    try:
        for criterion in with_needs({*BY_ID["5.4"].needs}):
            met = checks[criterion.id](submission)
            assert met.passed, (criterion.id, met)
        for _ in SEEDS:
            result = checks["5.4"](submission)
            print(result.measured)
            assert not result.passed, result
    finally:
        box.close_children()


def wrong(mutant: Mutant, folder: Path) -> Path:
    """Return a copy of the plain solution with a mistake."""
    mutant.write(copy_plain(folder))
    return folder


def described(result: Result) -> str:
    """Return the output to read after an unexpected verdict."""
    return f"{result.status}: {result.measured} {result.message} {result.log_tail[-500:]}"
