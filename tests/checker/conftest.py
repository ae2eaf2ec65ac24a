"""One sandbox and one set of hidden data for all submissions that a test process grades."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from checker.hidden.hidden_data import HiddenData
from checker.hidden.hidden_source import make_hidden_data
from checker.render.classroom50 import IDENTITY
from checker.run.runner import Grader, criteria_of
from checker.sandbox.sandbox import Sandbox, sandbox
from checker.settings import CheckerSettings
from checker.verdict.outcome import Outcome
from checker.verdict.results import Result, Scorecard
from lab.settings import utc_now
from tests.checker.cards import not_passed
from tests.checker.limits import LOWERED
from tests.checker.matrix import keep_verdict
from tests.checker.mutants import Mutant, copy_plain

SEED = 11
Grade = Callable[..., Scorecard]
Checks = Mapping[str, Callable[[Any], Outcome]]
GradeBy = Callable[..., Sequence[Result]]
AssertFailsAlone = Callable[[Mutant], None]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "matrix: a wrong submission, or a right one that takes long; all take an hour"
    )
    config.addinivalue_line(
        "markers", "seeds: a submission and a seed of twenty, at the thresholds in force; hours"
    )
    config.addinivalue_line("markers", "sample: a wrong submission that CI grades as well")
    config.addinivalue_line("markers", "changed: a wrong submission of which the verdict is old")


@pytest.fixture(autouse=True)
def in_classroom50(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what Classroom 50's runner sets, so that each form of a scorecard can be written."""
    for name in IDENTITY.values():
        monkeypatch.setenv(name, f"https://example.org/{name}")


def is_matrix(config: pytest.Config) -> bool:
    """Return whether `-m matrix` selects all wrong submissions."""
    return "matrix" in config.option.markexpr


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the matrix and the seeds, but for a sample, unless `-m` selects them."""
    if is_matrix(config) or config.option.markexpr == "seeds":
        return
    left = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _is_left_out(item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    return bool(marks & {"matrix", "seeds"}) and "sample" not in marks


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> CheckerSettings:
    """Return lower limits; and no data of the lab, so that the hidden ones are simulated."""
    lowered = {**LOWERED, "data_dir": tmp_path_factory.mktemp("no_data")}
    return CheckerSettings().model_copy(update=lowered)


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with sandbox(CheckerSettings()) as started:
        yield started


@pytest.fixture(scope="session")
def hidden(config: CheckerSettings, tmp_path_factory: pytest.TempPathFactory) -> HiddenData:
    return make_hidden_data(tmp_path_factory.mktemp("hidden"), SEED, utc_now(), config)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Return a copy of the plain right solution, for a test to make mistakes in."""
    return copy_plain(tmp_path / "plain")


@pytest.fixture
def grade(box: Sandbox, hidden: HiddenData, config: CheckerSettings) -> Grade:
    """Grade an exercise of a folder, or all of them, with limits lowered further."""

    def graded(folder: Path, exercise: int | None = None, **limits: Any) -> Scorecard:
        lowered = config.model_copy(update=limits)
        return Grader(box, hidden, lowered).grade(folder, criteria_of(exercise))

    return graded


@pytest.fixture
def grade_by(
    box: Sandbox, hidden: HiddenData, config: CheckerSettings, monkeypatch: pytest.MonkeyPatch
) -> GradeBy:
    """Grade a folder by other checks than the exercises'."""

    def graded(checks: Checks, folder: Path, *ids: str, **limits: Any) -> Sequence[Result]:
        monkeypatch.setattr("checker.run.runner.checks_in", lambda _: checks)
        grader = Grader(box, hidden, config.model_copy(update=limits))
        return grader.grade(folder, ids or checks).results

    return graded


@pytest.fixture
def assert_fails_alone(grade: Grade, plain: Path, pytestconfig: pytest.Config) -> AssertFailsAlone:
    """Assert that its criterion fails, its dependents are skipped, and the exercise's others pass.

    A failure shows at most three counter-examples. A run of the matrix stores the verdict.
    """

    def check(mutant: Mutant) -> None:
        mutant.write(plain)
        card = grade(plain, mutant.exercise, **mutant.limits)
        if is_matrix(pytestconfig):
            keep_verdict(mutant, card)
        assert card.status_of() == mutant.expected(), not_passed(card)
        assert all(len(result.examples) <= 3 for result in card.results)

    return check
