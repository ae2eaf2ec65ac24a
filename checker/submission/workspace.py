"""`lab new`: a learner's workspace, in which everything is still to be written."""

import re
import shutil
import tempfile
from itertools import chain, count
from pathlib import Path

from checker.submission.diff import exercise_folder
from checker.submission.names import OVERRIDES
from checker.submission.scripts import scripts
from lab.errors import UserError
from lab.settings import ROOT

STARTER = ROOT / "lab" / "starter"
NOT_COPIED = shutil.ignore_patterns("production", "checks.py", "__pycache__", "data", "models")
STARTER_SCRIPTS = {
    1: "feature_repo/features.py",
    2: "generate_training_data.py",
    3: "materialize.py",
    4: "app/main.py",
    5: "flink_streaming_features.py",
    6: "feature_monitoring.py",
}
DOCUMENTS = ("contract.md", "errata.md")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")


def make_workspace(folder: Path, first: int = 1) -> None:
    """Write the starter files and the documents into `folder`, all of them or none.

    The exercises before the `first` are the solution's. Raises UserError when there is something in
    the folder already.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is there already, and not empty", "lab new ANOTHER_FOLDER")
        _make(folder.resolve(), first)
    except OSError as error:
        problem = f"{folder} cannot be made: {error.strerror}"
        raise UserError(problem, "lab new ANOTHER_FOLDER") from error


def _make(folder: Path, first: int) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".lab-new-") as temporary:
        made = Path(temporary, "workspace")
        shutil.copytree(STARTER, made, ignore=shutil.ignore_patterns("__pycache__"))
        (made / "docs").mkdir()
        for name in DOCUMENTS:
            text = (ROOT / "docs" / name).read_text()
            (made / "docs" / name).write_text(LINK.sub(_link_within, text))
        for number in range(1, first):
            _copy_solution(number, made)
        if folder.exists():  # the one that the shell is in, for example
            shutil.copytree(made, folder, dirs_exist_ok=True)
        else:
            made.rename(folder)


def starter_file(workspace: Path, number: int) -> Path:
    """Return the file with which a learner begins an exercise."""
    return exercise_folder(workspace, number) / STARTER_SCRIPTS[number]


def is_begun(file: Path) -> bool:
    """Return whether a starter file has more than imports and functions without a body."""
    return file in scripts(file.parent)


def reset_exercise(workspace: Path, number: int) -> list[Path]:
    """Restore the files of an exercise that differ from the starter's; return them.

    Each stays as NAME.bak, or NAME.2.bak, which no grader reads. UserError where the exercise's
    folder has a name of the learner's own.
    """
    changed = []
    starter = exercise_folder(STARTER, number)
    try:
        own = exercise_folder(workspace, number).name
    except UserError:
        own = starter.name  # it was deleted, and comes back
    if own != starter.name:
        raise UserError(f"{own} is no starter's folder: {starter.name}", "lab new ANOTHER_FOLDER")
    for source in (file for file in starter.rglob("*") if file.is_file()):
        file = workspace / source.relative_to(STARTER)
        if file.exists() and file.read_bytes() == source.read_bytes():
            continue
        if file.exists():
            file.replace(_free_backup(file))
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, file)
        changed.append(file)
    return changed


def _free_backup(file: Path) -> Path:
    """Return the path of a file's backup: not that of an earlier one."""
    names = chain([f"{file.name}.bak"], (f"{file.name}.{number}.bak" for number in count(2)))
    return next(place for name in names if not (place := file.with_name(name)).exists())


def _copy_solution(number: int, workspace: Path) -> None:
    """Replace an exercise's starter by the solution, without production, and with its names."""
    solution, starter = exercise_folder(ROOT, number), exercise_folder(workspace, number)
    shutil.rmtree(starter)
    shutil.copytree(solution, starter, ignore=NOT_COPIED)
    shutil.copy(ROOT / OVERRIDES, workspace / OVERRIDES)


def _link_within(link: re.Match[str]) -> str:
    """A link between the documents; of one to elsewhere in this repository only the text."""
    return link[0] if link[2] in DOCUMENTS else link[1]
