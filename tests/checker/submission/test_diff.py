"""`lab diff N`: both sides have the same files and functions; production is not shown."""

import ast
from pathlib import Path

import pytest

from checker.submission.diff import compared_files, exercise_diff, exercise_folder
from checker.submission.workspace import make_workspace
from lab.errors import UserError
from lab.settings import ROOT

LINED_UP = {  # starter files whose functions are the solution's, in its order
    1: "feature_repo/features.py",
    2: "generate_training_data.py",
    3: "materialize.py",
    6: "feature_monitoring.py",
    4: "app/main.py",
}


def functions(file: Path) -> list[str]:
    """Return the names of a file's top-level functions, in order."""
    body = ast.parse(file.read_text()).body
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node.name for node in body if isinstance(node, kinds)]


@pytest.mark.parametrize("number", LINED_UP)
def test_the_starters_functions_are_the_solutions_in_its_order(number: int, tmp_path: Path) -> None:
    make_workspace(tmp_path / "workspace")
    starter, solution = (
        functions(exercise_folder(root, number) / LINED_UP[number])
        for root in (tmp_path / "workspace", ROOT)
    )
    assert starter == [name for name in solution if name in starter]


def test_a_diff_has_the_lines_of_both_sides(tmp_path: Path) -> None:
    make_workspace(tmp_path / "workspace")
    lines = list(exercise_diff(2, tmp_path / "workspace"))
    assert "--- workspace/generate_training_data.py" in lines
    assert "-    raise NotImplementedError" in lines
    assert any(line.startswith("+    sample = training_df.sample(") for line in lines)


def test_the_solution_does_not_differ_from_itself() -> None:
    assert list(exercise_diff(2, ROOT)) == []


def test_production_and_checks_are_not_shown() -> None:
    names = {str(name) for name in compared_files(exercise_folder(ROOT, 2))}
    assert "splits.py" in names
    assert not any("production" in name or name == "checks.py" for name in names)


def test_a_workspace_without_the_exercise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder of exercise 2"):
        list(exercise_diff(2, tmp_path))
