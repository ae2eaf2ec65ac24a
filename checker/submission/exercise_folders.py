"""Which folder of a submission holds which exercise, where two may have one number."""

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePath

from checker.submission.copying import EXERCISE_FOLDER
from checker.submission.functions import brief_functions, defines
from checker.submission.scripts import scripts
from checker.submission.workspace import STARTER

CODE = (".py", ".ipynb")
MOST = 100
# ex2, Exercise 2, 02_training, task-2: names that are not taken for an exercise's folder
NUMBERED = re.compile(r"(?:ex\w*?|task|week|part|lab)?[ _-]*0*([1-6])(?!\d)", re.IGNORECASE)
# [exercises] of submission.toml; the other sections are read by `names`, which knows no such one.
CHOSEN = re.compile(r"^\[exercises\].*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
CHOOSE = 'name the other in submission.toml: [exercises] "{number}" = "{other}"'


@dataclass
class ExerciseFolders:
    """The folders of the exercises by number, the folders to leave out, and a sentence on each."""

    of: dict[int, Path] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)


def exercise_folders(root: Path, toml: str) -> ExerciseFolders:
    """Choose one folder for each number: that of submission.toml, or the one that holds more.

    Another folder of the number stays where it sorts behind, since scripts may import it.
    """
    by_number: dict[int, list[Path]] = defaultdict(list)
    for item in sorted(root.iterdir()):
        match = EXERCISE_FOLDER.match(item.name)
        if match and item.is_dir() and not item.is_symlink():
            by_number[int(match[1])].append(item)
    wanted, chosen = _wanted(toml), ExerciseFolders()
    for number, folders in by_number.items():
        best = max(folders, key=lambda f: (f.name == wanted.get(str(number)), _fullness(f, number)))
        chosen.of[number] = best
        rivals = [folder for folder in folders if folder != best and scripts(folder)]
        chosen.left_out += [folder for folder in rivals if folder < best]
        if rivals:
            chosen.notes[number] = _note(number, best, rivals)
    return chosen


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


def _note(number: int, best: Path, rivals: list[Path]) -> str:
    others = ", ".join(rival.name for rival in rivals)
    choose = CHOOSE.format(number=number, other=rivals[0].name)
    return f"exercise {number}: {best.name} is graded, {others} is not; {choose}"


def _wanted(toml: str) -> dict[str, str]:
    try:
        section = tomllib.loads(toml).get("exercises", {})
    except tomllib.TOMLDecodeError:
        return {}  # whoever reads the names reports it
    return section if isinstance(section, dict) else {}


def _fullness(folder: Path, number: int) -> tuple[int, int]:
    """Count what the brief names and the folder holds, then the lines of its scripts."""
    functions = sum(defines(folder, name) for name in brief_functions(number))
    stores = len(list(folder.rglob("feature_store.yaml")))
    lines = sum(len(file.read_bytes().splitlines()) for file in scripts(folder))
    return functions + stores, lines
