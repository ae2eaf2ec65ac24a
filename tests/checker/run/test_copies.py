"""Copied code is noted, whatever its names and texts; right solutions in other styles are not."""

import ast
import builtins
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from markupsafe import escape

from checker.render.comparison import compare
from checker.render.copies import SOLUTION, Copy, read_copies, write_copies
from checker.run import copies
from checker.run.copies import copies_in
from checker.settings import CheckerSettings
from checker.submission.copying import EXERCISE_FOLDER
from checker.submission.intake import take_in
from lab.errors import UserError
from lab.settings import ROOT
from tests.checker.cards import HTML, card

RIGHT = ROOT / "tests" / "submissions" / "right"
NOT_OURS = shutil.ignore_patterns("production", "checks.py", "data", "__pycache__")


class Renamed(ast.NodeTransformer):
    """Give each name of a program another one, and replace its texts."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        known = hasattr(builtins, node.id)
        return node if known else ast.Name(f"my_{node.id[::-1]}", node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(f"my_{node.arg[::-1]}", node.annotation)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(node.value[::-1]) if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        return node


def folder_of(exercise: int, root: Path = ROOT) -> Path:
    found = [(EXERCISE_FOLDER.match(folder.name), folder) for folder in root.iterdir()]
    return next(folder for match, folder in found if match and int(match[1]) == exercise)


def stolen(exercise: int, into: Path) -> Path:
    """Copy the solution of an exercise under other names, reformatted."""
    folder = folder_of(exercise)
    shutil.copytree(folder, into / folder.name, ignore=NOT_OURS)
    for file in into.rglob("*.py"):
        file.write_text(ast.unparse(Renamed().visit(ast.parse(file.read_text()))))
    return into


def noted(folders: Sequence[Path], *exercises: int) -> list[Copy]:
    return copies_in({folder.name: folder for folder in folders}, list(exercises))


@pytest.mark.parametrize("exercise", [1, 2, 3, 6])
def test_a_copied_solution_under_other_names_is_found(exercise: int, tmp_path: Path) -> None:
    (copy,) = noted([stolen(exercise, tmp_path / "eve")], exercise)
    assert (copy.submission, copy.other, copy.exercise) == ("eve", SOLUTION, exercise)
    assert copy.share > 0.7
    assert "<span class='highlight-green'>" in copy.other_code


def test_right_solutions_in_other_styles_are_not(tmp_path: Path) -> None:
    names = ("plain", "notebook")
    taken = [take_in(RIGHT / name, tmp_path, CheckerSettings()).folder for name in names]
    assert noted(taken, *range(1, 7)) == []


def test_starter_code_is_left_out(tmp_path: Path) -> None:
    folders = [tmp_path / "ann", tmp_path / "bob"]
    for folder in folders:
        shutil.copytree(ROOT / "lab" / "starter", folder)
    assert noted(folders, *range(1, 7)) == []


def test_copies_among_a_class_are_found_in_both(tmp_path: Path) -> None:
    folders = [tmp_path / "ann", tmp_path / "bob"]
    for folder in folders:
        shutil.copytree(folder_of(4, RIGHT / "plain"), folder / "exercise_04")
    (script,) = (folders[1] / "exercise_04" / "app").glob("main.py")
    script.write_text(f"import this\n\n\n{script.read_text()}".replace("request", "payload"))
    (copy,) = noted(folders, 4)
    assert {copy.submission, copy.other} == {"ann", "bob"}
    assert min(copy.share, copy.other_share) > 0.9


def test_the_comparison_has_a_column_and_a_page(tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        card(name).write(tmp_path / name / "scorecard.json")
    mine = f"<span class='highlight-red'>x = 1</span>{escape(HTML)}"
    high = Copy(2, "bob", SOLUTION, 0.93, 0.1, mine, "x = 1")
    write_copies([Copy(1, "ann", "bob", 0.4, 0.5, "", ""), high], tmp_path)
    assert read_copies([tmp_path])[0] == high
    compare([tmp_path], None, tmp_path)
    rows = list(csv.DictReader((tmp_path / "compare.csv").open(newline="")))
    similar = "93% of exercise 2 as in the solution; 50% of exercise 1 as in ann"
    assert [row["similar code"] for row in rows] == ["40% of exercise 1 as in bob", similar]
    assert "93% of exercise 2 as in the solution" in (tmp_path / "index.html").read_text()
    page = (tmp_path / "copies.html").read_text()
    assert mine in page
    assert "<script>" not in page


def test_a_file_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "copies.json").write_text('[{"half": 1')
    with pytest.raises(UserError, match="is not of lab grade"):
        read_copies([tmp_path])


def test_a_comparison_that_takes_too_long_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(copies, "LIMIT_S", 0.001)
    assert copies_in({"ann": RIGHT / "plain"}, [2]) == []
    assert "exercise 2 was not compared for similar code, took more" in capsys.readouterr().err
