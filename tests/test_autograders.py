"""The autograders of course platforms: what they run, and what their platform takes from it."""

import os
import shlex
import subprocess
import zipfile
from pathlib import Path

import pytest

from lab.settings import settings
from tests.test_docs import assert_lab_takes

FOLDER = settings.root / "docs" / "autograders"
LAB = """#!/bin/sh
echo "$@" >> "$0.log"
[ "$1" = render ] && exit
mkdir -p "$4/scorecards/submission" && touch "$4/scorecards/submission/scorecard.json"
exit {status}
"""


def run_with_stub(script: Path, folder: Path, status: int) -> tuple[int, list[list[str]]]:
    """Run a platform's script with a stub that ends with a status; return its own, and the calls.

    The platform's folders are in `folder`.
    """
    copy, lab = folder / script.name, folder / ".venv" / "bin" / "lab"
    lab.parent.mkdir(parents=True)
    lab.write_text(LAB.format(status=status))
    lab.chmod(0o755)
    text = script.read_text().replace("/autograder/source", str(folder))
    copy.write_text(text.replace("/tmp/graded", str(folder / "graded")))
    copy.chmod(0o755)
    env = {**os.environ, "LAB": str(lab), "EXERCISE": "2"}
    ended = subprocess.run([copy], env=env, cwd=folder, check=False).returncode
    calls = [shlex.split(line) for line in lab.with_name("lab.log").read_text().splitlines()]
    for words in calls:
        assert_lab_takes(words)
    return ended, calls


@pytest.mark.parametrize(("of_lab", "status"), [(0, 0), (1, 0), (2, 2), (3, 3)])
@pytest.mark.parametrize("script", ["classroom50.py", "gradescope/run_autograder"])
def test_a_failed_criterion_is_a_grade_and_an_error_is_none(
    script: str, of_lab: int, status: int, tmp_path: Path
) -> None:
    ended, calls = run_with_stub(FOLDER / script, tmp_path, of_lab)
    assert ended == status
    assert calls[0][-2:] == ["--exercise", "2"]
    assert [words[0] for words in calls] == ["grade", "render"][: 2 if status == 0 else 1]


def test_the_zip_for_gradescope_has_the_set_up_and_the_grader() -> None:
    subprocess.run([settings.root / "scripts" / "gradescope-zip"], check=True, timeout=120)
    with zipfile.ZipFile(settings.root / "build" / "gradescope.zip") as archive:
        names = archive.namelist()
        executable = archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    assert {"setup.sh", "Makefile", "requirements.txt", "checker/cli.py"} <= set(names)
    assert executable
    assert not any(name.startswith("tests/") for name in names)
