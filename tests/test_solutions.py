"""The definition of a solution: few imports from outside its folder, and it passes alone.

`OUTSIDE` lists the imports, `GRADED` the exercises that are graded alone.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from checker.run.runner import criteria_of
from checker.submission.diff import exercise_folder
from checker.submission.workspace import make_workspace
from checker.verdict.outcome import Status
from lab.settings import ROOT
from scripts.import_graph import imported_names
from tests.checker.cards import not_passed
from tests.checker.conftest import Grade, box, config, grade, hidden  # noqa: F401

GRADED = (1, 2, 3, 6)  # 4 and 5 need a quiet machine; `make run` grades all six
PROJECT = ("lab", "checker", "exercise_", "feast_plugins", "tests", "benchmarks")
SHARED = "exercise_01_setup.feature_repo.missing_values"
OUTSIDE = {  # modules of the project that the solution of an exercise imports from elsewhere
    1: {"lab.learn"},
    2: {"lab.learn", SHARED},
    3: {"lab.learn"},
    4: {"lab.learn", SHARED},
    5: {"lab.learn", SHARED},
    6: {"lab.learn", SHARED},
}


def solution_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a solution."""
    for file in sorted(folder.rglob("*.py")):
        if file.name != "checks.py" and "production" not in file.relative_to(folder).parts:
            yield file


def outside_imports(folder: Path) -> set[str]:
    """Return the project's modules that a solution imports from outside its folder."""
    imported = {module for file in solution_files(folder) for module, _ in imported_names(file)}
    found = {name for name in imported if name.startswith(PROJECT)}
    production = {name for name in found if ".production" in name}
    return {name for name in found if name.split(".")[0] != folder.name} | production


@pytest.mark.parametrize("number", OUTSIDE)
def test_a_solution_imports_little_from_outside(number: int) -> None:
    assert outside_imports(exercise_folder(ROOT, number)) <= OUTSIDE[number]


@pytest.mark.parametrize("line", ["import lab.settings", "from exercise_0.production.a import b"])
def test_another_import_is_found(line: str, tmp_path: Path) -> None:
    folder = tmp_path / "exercise_0"
    folder.mkdir()
    (folder / "a.py").write_text(f"from lab.learn import settings\n{line}\n")
    assert outside_imports(folder) - {"lab.learn"}


def test_lab_learn_imports_only_the_error_type_and_variables() -> None:
    imported = {module for module, _ in imported_names(ROOT / "lab" / "learn.py")}
    own = {name for name in imported if name.startswith(PROJECT)}
    assert own == {"lab.errors", "lab.variables"}


@pytest.mark.parametrize("number", GRADED)
def test_a_solution_passes_in_a_new_workspace(
    number: int,
    grade: Grade,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The solution of the exercise and of those that it needs, without production parts."""
    workspace = tmp_path / "workspace"
    make_workspace(workspace)
    for needed in {1, number, *([3] if number > 3 else [])}:
        solution = exercise_folder(ROOT, needed)
        ignored = shutil.ignore_patterns("production", "__pycache__", "data", "models", "checks.py")
        shutil.rmtree(workspace / solution.name)
        shutil.copytree(solution, workspace / solution.name, ignore=ignored)
    shutil.copy(ROOT / "submission.toml", workspace)
    card = grade(workspace, number)
    assert card.count(Status.PASS) == len(criteria_of(number)), not_passed(card)
