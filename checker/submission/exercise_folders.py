"""Find the folder of each exercise in a submission; two may have one number."""

import re
import tomllib
from collections import defaultdict
from itertools import islice
from pathlib import Path, PurePath

from checker.submission.copying import EXERCISE_FOLDER
from checker.submission.functions import brief_functions, is_written
from checker.submission.scripts import scripts
from checker.submission.workspace import STARTER

CODE = (".py", ".ipynb")
MOST = 100
# ex2, Exercise 2, 02_training, task-2: names that are not taken for an exercise's folder
NUMBERED = re.compile(r"(?:ex\w*?|task|week|part|lab)?[ _-]*0*([1-6])(?!\d)", re.IGNORECASE)
# [exercises] of submission.toml; the other sections are read by `names`, which knows no such one.
CHOSEN = re.compile(r"^\[exercises\].*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)


def exercise_folders(root: Path, toml: str) -> dict[int, list[Path]]:
    """Return the folders of each exercise that hold code, or the only one; that to grade first.

    It is the one that submission.toml names, or the one that holds more.
    """
    by_number: dict[int, list[Path]] = defaultdict(list)
    for item in sorted(root.iterdir()):
        if (match := EXERCISE_FOLDER.match(item.name)) and item.is_dir():
            by_number[int(match[1])].append(item)
    wanted = _wanted(toml)
    return {
        number: sorted(
            [folder for folder in folders if scripts(folder)] or folders[:1],
            key=lambda f: (f.name != wanted.get(str(number)), *_emptiness(f, number)),
        )
        for number, folders in by_number.items()
    }


def without_choice(toml: str) -> str:
    """Return a submission.toml without its section on folders."""
    return CHOSEN.sub("", toml)


def code_in(item: Path, root: Path) -> list[str]:
    """Return the scripts and notebooks in a file or folder outside the exercises, some of many."""
    found = item.rglob("*") if item.is_dir() and not item.is_symlink() else iter([item])
    code = (str(path.relative_to(root)) for path in found if path.suffix.lower() in CODE)
    return sorted(islice(code, MOST))


def is_of(path: str, number: int) -> bool:
    """Return whether a path outside the exercises' folders seems to belong to an exercise."""
    place = PurePath(path).with_suffix(".py")
    (starter,) = STARTER.glob(f"exercise_{number:02d}_*")
    if any(place.match(str(file.relative_to(starter))) for file in starter.rglob("*.py")):
        return True
    found = [NUMBERED.match(part) for part in place.parts]
    return any(match and int(match[1]) == number for match in found)


def note_on(number: int, graded: Path, others: list[Path]) -> str:
    """Return a sentence that names all folders of a number."""
    rest = ", ".join(folder.name for folder in others)
    choose = f'[exercises] "{number}" = "{others[0].name}"'
    return (
        f"exercise {number}: {graded.name} is graded, {rest} is not; to choose another, "
        f"write into submission.toml: {choose}"
    )


def _wanted(toml: str) -> dict[str, str]:
    try:
        section = tomllib.loads(toml).get("exercises", {})
    except tomllib.TOMLDecodeError:
        return {}  # the reader of the names reports it
    return section if isinstance(section, dict) else {}


def _emptiness(folder: Path, number: int) -> tuple[int, int]:
    """Count, below zero, what the brief names and the folder holds; then the lines of scripts."""
    functions = sum(is_written(folder, name) for name in brief_functions(number))
    stores = len(list(folder.rglob("feature_store.yaml")))
    lines = sum(len(file.read_bytes().splitlines()) for file in scripts(folder))
    return -functions - stores, -lines
