"""The folder that a command means without naming it: a workspace, a solution, the reference."""

import errno
from pathlib import Path

import pytest
from typer.testing import CliRunner

from checker import cli
from checker.cli import app, folder_with_exercises
from lab.errors import UserError
from lab.settings import ROOT


@pytest.mark.parametrize("exercise", ["exercise_04_serving", "exercise-1", "Exercise 2"])
def test_it_is_the_folder_that_holds_exercises(tmp_path: Path, exercise: str) -> None:
    inside = tmp_path / "mine" / exercise / "app"
    inside.mkdir(parents=True)
    assert folder_with_exercises(inside) == tmp_path / "mine"
    assert folder_with_exercises(tmp_path / "mine") == tmp_path / "mine"


def test_elsewhere_it_is_the_reference(tmp_path: Path) -> None:
    (tmp_path / "exercise_1.zip").touch()
    (tmp_path / "exercises_2026").mkdir()
    assert folder_with_exercises(tmp_path) == ROOT
    assert folder_with_exercises(ROOT / "exercise_05_streaming" / "production") == ROOT


@pytest.mark.parametrize("words", [["reset", "2"], ["progress"], ["diff", "2"]])
def test_outside_a_workspace_its_commands_are_one_sentence(words: list[str]) -> None:
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, UserError)
    assert "is in no workspace" in str(error)


@pytest.mark.parametrize(
    ("number", "status"), [(errno.EROFS, 2), (errno.ENOSPC, 2), (errno.EBADF, 3)]
)
def test_a_disk_that_cannot_be_written_is_one_sentence(
    number: int,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise OSError(number, "cannot be written", "my [x] data")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    message = capsys.readouterr().err
    assert ("error: my [x] data: cannot be written" in message) == (status == 2)
    assert ("Traceback" in message) == (status == 3)
