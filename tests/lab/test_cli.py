"""Commands of `lab` that have no test of their own elsewhere, and the starter's scripts."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from checker.cli import app
from lab.settings import ROOT

LAB = Path(sys.executable).with_name("lab")
STARTERS = (ROOT / "lab" / "starter").glob("exercise_*/*.py")


def test_the_quiz_ends_at_q() -> None:
    played = CliRunner().invoke(app, ["quiz", "3", "--seed", "1"], input="q\n")
    assert played.exit_code == 0
    assert "1 of 6, criterion 3." in played.output
    assert "0 of 0 right" in played.output


def test_completion_is_installed_for_the_shell(tmp_path: Path) -> None:
    install = f"{LAB} --install-completion ; exit $?"  # not exec: the parent is the shell
    home = os.environ | {"HOME": str(tmp_path)}
    subprocess.run(["bash", "-c", install], env=home, check=True, capture_output=True, timeout=60)
    assert "bash_completions" in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize("script", sorted(STARTERS), ids=lambda script: script.name)
def test_a_starter_script_that_is_run_names_its_first_todo(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 2
    assert f"{script.name}:" in (error := capsys.readouterr().err)
    assert ": TODO 1: " in error
    runpy.run_path(str(script))  # as a grader imports it
