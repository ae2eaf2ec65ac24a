"""`lab run N` in a learner's workspace: the learner's scripts, on the lab's data and services."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from checker.run.pipeline import EXERCISES, Exercise, prepare
from checker.settings import CheckerSettings
from checker.submission.workspace import is_begun, starter_file
from lab.errors import UserError, next_todo

FEAST = Path(sys.executable).with_name("feast")
FRAME = re.compile(r'^ *File "(?P<file>.+)", line (?P<line>\d+)', re.MULTILINE)
ERROR = re.compile(r"^[\w.]*(Error|Exception|Exit)\b.*(\n.*)*", re.MULTILINE)


def run_in(workspace: Path, number: int | None, data: str | None, config: CheckerSettings) -> None:
    """Run the scripts of one exercise; end with the status of the first that fails.

    An exercise that lacks a script of the solution runs the file that its starter has. UserError
    while nothing of that file is written.
    """
    if number is None:
        raise UserError("lab run needs the number of an exercise in a workspace", "lab run 1")
    (exercise,) = (exercise for exercise in EXERCISES if exercise.number == number)
    commands = list(_commands(exercise, workspace, config))
    prepare([exercise], data, config)
    environment = os.environ | {"PYTHONPATH": str(workspace)}
    for command, folder in commands:
        errors = subprocess.PIPE if command[0] == str(FEAST) else None
        ended = subprocess.run(
            command, cwd=folder, env=environment, stderr=errors, text=True, check=False
        )
        if ended.returncode and ended.stderr:
            raise UserError(mistake_in(ended.stderr, workspace), "correct it, then lab run 1")
        if ended.returncode:
            sys.exit(ended.returncode)
        sys.stderr.write(ended.stderr or "")
    print("next: lab check")


def mistake_in(output: str, workspace: Path) -> str:
    """Return the error that Feast printed, after the last line of the workspace that led to it."""
    errors = [*ERROR.finditer(output)]
    message = (errors[-1][0] if errors else output).strip()
    frames = [(Path(frame["file"]), frame["line"]) for frame in FRAME.finditer(output)]
    own = [f"{f.relative_to(workspace)}:{n}" for f, n in frames if f.is_relative_to(workspace)]
    return ": ".join([*own[-1:], message])


def _commands(
    exercise: Exercise, workspace: Path, config: CheckerSettings
) -> Iterator[tuple[list[str], Path]]:
    """Yield each command with the working directory that it has when it is graded."""
    folder, first = workspace / exercise.folder, starter_file(workspace, exercise.number)
    files = [folder / f"{script}.py" for script in exercise.scripts]
    if not all(file.is_file() for file in files):
        files = [first]
    if first in files:
        _require_begun(first)
    for file in files:
        if file.name == "features.py":
            yield [str(FEAST), "apply"], config.feature_repo
        elif file.name == "main.py":
            arguments = ["app.main:app", "--port", str(config.api_port)]
            yield [sys.executable, "-m", "uvicorn", *arguments], folder
        else:
            yield [sys.executable, str(file)], config.feature_repo


def _require_begun(file: Path) -> None:
    """Raise UserError if a file does not exist, or if all of it is still to be written."""
    if not file.is_file():
        raise UserError(f"there is no {file}", "lab new ANOTHER_FOLDER, which has it")
    if not is_begun(file) and (todo := next_todo(file, is_begun=False)):
        raise UserError(todo)
