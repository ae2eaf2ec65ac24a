"""Takes a submission in, whatever shape it was handed in: a folder, a ZIP file, notebooks.

What is taken is a copy of the exercise folders and of submission.toml: regular files only, no
links, nothing of environments, builds and versions.
"""

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checker.settings import CheckerSettings
from checker.submission.archives import unpack
from checker.submission.copying import EXERCISE_FOLDER
from checker.submission.exercise_folders import (
    code_in,
    exercise_folders,
    note_on,
    without_choice,
)
from checker.submission.functions import expose_functions
from checker.submission.names import OVERRIDES
from checker.submission.notebooks import code_of_notebook
from checker.submission.scripts import scripts
from checker.submission.syntax import as_utf8
from checker.verdict.plain_text import plain
from lab.errors import UserError

IGNORED = {"__MACOSX", ".venv", "venv", ".git", "__pycache__", "build", "node_modules"}
IGNORED |= {".DS_Store", ".ipynb_checkpoints"}
APPLE_DOUBLE = "._"  # macOS writes ._NAME next to NAME on other disks and into archives
IGNORE_FILE = ".labignore"
TEXTS = {".py", ".ipynb", ".toml", ".yaml", ".yml", ".sql"}
UNFIT = (OSError, RecursionError, MemoryError)
SHOWN = 4
COMPOSE = re.compile(r"(docker-)?compose[\w.-]*\.ya?ml", re.IGNORECASE)


@dataclass
class Intake:
    """A submission that was taken in: its copy, and what was found, converted and left out."""

    name: str
    folder: Path
    exercises: dict[int, str] = field(default_factory=dict)
    notebooks: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # notebooks and cells that are no Python
    outside: list[str] = field(default_factory=list)  # code in none of the exercises' folders
    notes: dict[int, str] = field(default_factory=dict)  # on exercises with two folders

    def described(self) -> str:
        """Return the output of a dry run: the scripts of each exercise, and what is peculiar."""
        lines = [f"{self.name}:" if self.exercises else f"{self.name}: no exercise folder"]
        for number, name in sorted(self.exercises.items()):
            folder = self.folder / name
            found = [str(script.relative_to(folder)) for script in scripts(folder)]
            lines.append(f"  {number} {name}: {some(found) or 'nothing yet'}")
        lines += [f"  notebook, taken as a script: {name}" for name in self.notebooks]
        lines += [f"  {note}" for note in self.notes.values()]
        lines += [f"  left out: {name}" for name in (*self.left_out, *self.unread)]
        lines += [f"  in no exercise's folder: {some(self.outside)}"] if self.outside else []
        return plain("\n".join(lines))


def some(names: list[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def name_of(source: Path) -> str:
    """The name of a submission: that of its folder, or of its ZIP file without the ending.

    Raises UserError when that is none, or that of a folder around it.
    """
    resolved = source.resolve()
    name = resolved.stem if resolved.suffix.lower() == ".zip" else resolved.name
    if not name.strip("."):
        raise UserError(f"{source} gives a submission no name", "rename it")
    return name


def take_in(
    source: Path, into: Path, config: CheckerSettings, overrides: Path | None = None
) -> Intake:
    """Copy `source` to a folder of its name below `into`.

    One folder around the exercises is taken off. OVERRIDES/NAME/submission.toml stands for the
    submission's own. Raises UserError for what cannot be taken in.
    """
    if not source.exists():
        raise UserError(f"there is no folder or ZIP file {source}", "lab check --submission DIR")
    taken = Intake(name_of(source), into / name_of(source))
    own_names = overrides / taken.name / OVERRIDES if overrides else None
    try:
        _take_in(source, taken, config, own_names)
    except UNFIT as error:
        message = f"{type(error).__name__} {error}".rstrip()
        raise UserError(f"{source} cannot be taken in: {message}") from error
    return taken


def _take_in(source: Path, taken: Intake, config: CheckerSettings, own_names: Path | None) -> None:
    into = taken.folder.parent
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".unpacked-") as unpacked:
        root = source
        if source.is_file():
            root = Path(unpacked)
            taken.left_out += unpack(source, root, config)
        root = _unwrapped(root)
        names = own_names if own_names and own_names.is_file() else root / OVERRIDES
        _copy(root, names, taken, config)
    _normalize_texts(taken.folder)
    _convert_notebooks(taken, config.notebook_max_mib * 2**20)
    _choose_folders(taken)
    for number, name in taken.exercises.items():
        expose_functions(taken.folder / name, number)


def _unwrapped(root: Path) -> Path:
    """The folder of the exercises: `root`, or the only folder in it, and so on."""
    found = [f for f in root.iterdir() if f.is_dir() and f.name not in IGNORED]
    folders = [f for f in found if not f.is_symlink()]
    if len(folders) == 1 and not EXERCISE_FOLDER.match(folders[0].name):
        inner = _unwrapped(folders[0])
        return inner if any(EXERCISE_FOLDER.match(f.name) for f in inner.iterdir()) else root
    return root


def _copy(root: Path, names: Path, taken: Intake, config: CheckerSettings) -> None:
    shutil.rmtree(taken.folder, ignore_errors=True)
    taken.folder.mkdir(parents=True)

    own = _own_ignored(root / IGNORE_FILE)

    def left_out(folder: str, names: list[str]) -> set[str]:
        paths = [Path(folder, name) for name in names]
        ignored = {name for name in names if name in IGNORED | own or name.startswith(APPLE_DOUBLE)}
        unwanted = {path.name for path in paths if not _is_wanted(path)} - ignored
        taken.left_out += sorted(str(Path(folder, n).relative_to(root)) for n in unwanted)
        return ignored | unwanted

    sizes: list[int] = []

    def copy_file(file: str, to: str) -> str:
        sizes.append(Path(file).stat().st_size)  # of a sparse file its whole length
        _limit_size(taken.name, sizes, config)
        return str(shutil.copy2(file, to))

    for item in sorted(root.iterdir()):
        is_exercise = EXERCISE_FOLDER.match(item.name) and item.is_dir()
        if is_exercise and not item.is_symlink():
            copy = taken.folder / item.name
            shutil.copytree(item, copy, ignore=left_out, copy_function=copy_file)
        elif item.name not in IGNORED | own:
            taken.outside += code_in(item, root)
    if names.is_file() and not names.is_symlink():
        shutil.copy(names, taken.folder / OVERRIDES)


def _choose_folders(taken: Intake) -> None:
    """Keep one folder for each exercise, and take the choice out of submission.toml."""
    file = taken.folder / OVERRIDES
    toml = file.read_text(errors="replace") if file.exists() else ""
    for number, (graded, *others) in exercise_folders(taken.folder, toml).items():
        taken.exercises[number] = graded.name
        if others:
            taken.notes[number] = note_on(number, graded, others)
        for folder in others:
            if folder < graded:  # it would be found first; another one may be imported
                shutil.rmtree(folder)
    if (rest := without_choice(toml)) != toml:
        file.write_text(rest)


def _own_ignored(file: Path) -> set[str]:
    """Return the names that a submission leaves out itself, one a line; `#` begins a comment."""
    lines = file.read_text().splitlines() if file.is_file() and not file.is_symlink() else []
    return {line.strip().rstrip("/") for line in lines if line.strip() and line[0] != "#"}


def _is_wanted(path: Path) -> bool:
    """Return whether it is a folder or a regular file, no Compose file: services are supplied."""
    is_regular = not path.is_symlink() and (path.is_dir() or path.is_file())
    return is_regular and not COMPOSE.fullmatch(path.name)


def _normalize_texts(folder: Path) -> None:
    """Write texts as UTF-8 without a byte order mark, and end names in `.py`, not `.PY`.

    Python reads scripts with a mark, or in the encoding that they declare; the checks do not.
    """
    for file in [path for path in folder.rglob("*") if path.suffix.lower() in TEXTS]:
        if file.is_file():
            content = file.read_bytes()
            file.write_bytes(as_utf8(content))
            if not file.with_suffix(file.suffix.lower()).exists():
                file.rename(file.with_suffix(file.suffix.lower()))


def _convert_notebooks(taken: Intake, max_bytes: float) -> None:
    """Write a script next to each notebook."""
    for notebook in sorted(f for f in taken.folder.rglob("*.ipynb") if f.is_file()):
        name = str(notebook.relative_to(taken.folder))
        if notebook.stat().st_size > max_bytes:
            taken.unread.append(f"{name}, which is too large")
            continue
        try:
            code, problems = code_of_notebook(notebook.read_text())
        except (ValueError, RecursionError, MemoryError):
            taken.unread.append(f"{name}, which is no notebook")
        else:
            _free_place(notebook).write_text(code)
            taken.notebooks.append(name)
            taken.unread += [f"of {name}, {problem}" for problem in problems]


def _free_place(notebook: Path) -> Path:
    """Return a path for its script that no file has."""
    script = notebook.with_suffix(".py")
    while script.exists():
        script = script.with_name(f"{script.stem}_notebook.py")
    return script


def _limit_size(name: str, sizes: Sequence[int], config: CheckerSettings) -> None:
    size_mib = sum(sizes) / 2**20
    if size_mib > config.submission_max_mib or len(sizes) > config.submission_max_files:
        raise UserError(
            f"{name} has {len(sizes)} files of {size_mib:.0f} MiB, or more; at most "
            f"{config.submission_max_files} of {config.submission_max_mib:g} MiB are taken",
            "leave data and environments out of it",
        )
