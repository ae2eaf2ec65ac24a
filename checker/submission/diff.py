"""`lab diff N`: the difference between a workspace's exercise and the solution."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from checker.submission.copying import EXERCISE_FOLDER
from lab.errors import UserError
from lab.settings import ROOT

COMPARED = {".py", ".sql", ".yaml", ".toml", ".j2"}
NOT_COMPARED = {"production", "data", "build", "models", "__pycache__", ".venv"}


def exercise_diff(number: int, workspace: Path, solution: Path = ROOT) -> Iterator[str]:
    """Yield the lines of a unified diff, file by file, from the workspace to the solution.

    Without production/ and checks.py. A file that one side lacks is compared with an empty one.
    """
    own, reference = exercise_folder(workspace, number), exercise_folder(solution, number)
    names = compared_files(own) | compared_files(reference)
    for name in sorted(names, key=lambda name: (name.suffix != ".py", name)):
        before, after = (_lines(folder / name) for folder in (own, reference))
        yield from difflib.unified_diff(
            before, after, f"workspace/{name}", f"solution/{name}", lineterm=""
        )


def exercise_folder(root: Path, number: int) -> Path:
    """Return the folder of an exercise; UserError when there is none."""
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        found = EXERCISE_FOLDER.match(folder.name)
        if folder.is_dir() and found and int(found[1]) == number:
            return folder
    raise UserError(f"{root} has no folder of exercise {number}", f"lab reset {number}")


def compared_files(folder: Path) -> set[Path]:
    """Return the files of an exercise that a diff shows, relative to its folder."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix in COMPARED)
    return {
        name for name in names if name.name != "checks.py" and not NOT_COMPARED & set(name.parts)
    }


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    return file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
