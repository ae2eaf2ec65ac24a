"""Wrong submissions, each the plain right solution with one realistic mistake.

    make matrix                                       # grade all, write docs/mutants.md
    make matrix ONLY=changed                          # those with an outdated verdict
    make matrix ONLY=test_grading_exercise_5          # those of an exercise
    make matrix ONLY="5.3-latest_offset or cached"    # some, by name

`tests/submissions/wrong` holds their edits (`edits.py` has the kinds) and their verdicts;
`.venv/bin/python -m tests.checker.matrix` makes the page of the verdicts without grading.
"""

import ast
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checker.verdict.brief import BY_ID, CRITERIA
from checker.verdict.outcome import Status
from lab.dataset.tables import FEATURE_TABLES
from lab.settings import ROOT
from tests.checker.edits import Edit, EditError, edit_of

SUBMISSIONS = ROOT / "tests" / "submissions"
WRONG = SUBMISSIONS / "wrong"
PLAIN = SUBMISSIONS / "right" / "plain"
PREPARE = 'prepare = "lab data features"\n'
BUILT = shutil.ignore_patterns("__pycache__", "data")


class MutantError(Exception):
    """A mutant can no longer be made; the message starts with its name."""


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the one criterion of its exercise that must catch it."""

    criterion: str
    name: str
    mistake: str
    edits: tuple[Edit, ...]
    limits: dict[str, Any] = field(default_factory=dict)
    valid_python: bool = True

    @property
    def exercise(self) -> int:
        return BY_ID[self.criterion].exercise

    def __str__(self) -> str:
        return f"{self.criterion}-{self.name}"

    def write(self, folder: Path) -> None:
        """Make the mistake in a copy of the plain solution."""
        try:
            for edit in self.edits:
                edit.apply(folder)
            if self.valid_python:
                _check_syntax(folder, {edit.file for edit in self.edits})
        except EditError as error:
            raise MutantError(f"{self}: {error}") from None

    def expected(self) -> dict[str, Status]:
        """Return a failure of its criterion, a skip of what needs that, and else passes."""
        status = {self.criterion: Status.FAIL}
        for criterion in CRITERIA:
            if criterion.exercise == self.exercise and criterion.id != self.criterion:
                is_met = all(
                    status.get(need, Status.PASS) is Status.PASS for need in criterion.needs
                )
                status[criterion.id] = Status.PASS if is_met else Status.SKIPPED
        return status


def _check_syntax(folder: Path, files: set[str]) -> None:
    for file in sorted(files):
        if file.endswith(".py"):
            try:
                ast.parse((folder / file).read_text())
            except SyntaxError as error:
                raise EditError(f"{file} is no longer Python: {error}") from None


def mutants(exercise: int) -> list[Mutant]:
    """Return the wrong submissions of an exercise, in the order of its TOML file."""
    text = (WRONG / f"exercise_{exercise}.toml").read_text()
    return [mutant_of(entry) for entry in tomllib.loads(text)["mutant"]]


def mutant_of(entry: Mapping[str, Any]) -> Mutant:
    """Return the mutant of a TOML entry."""
    try:
        return Mutant(**{**entry, "edits": tuple(map(edit_of, entry["edits"]))})
    except (EditError, TypeError) as error:
        raise MutantError(f"{entry['criterion']}-{entry['name']}: {error}") from None


def copy_plain(folder: Path) -> Path:
    """Copy the plain right solution, which prepares its own tables."""
    return Path(shutil.copytree(PLAIN, folder, ignore=BUILT, dirs_exist_ok=True))


def copy_reference(folder: Path) -> None:
    """Copy the reference's exercises, without the files of earlier runs."""
    for exercise in sorted(ROOT.glob("exercise_*")):
        shutil.copytree(exercise, folder / exercise.name, ignore=BUILT)
    shutil.copy(ROOT / "submission.toml", folder)


def with_tables(folder: Path, source: Path) -> None:
    """Give a copy of the reference its five feature tables, in place of the command that does."""
    file = folder / "submission.toml"
    text = file.read_text()
    assert PREPARE in text
    file.write_text(text.replace(PREPARE, ""))
    data = folder / "exercise_01_setup" / "feature_repo" / "data"
    data.mkdir()
    for table in FEATURE_TABLES:
        shutil.copy(source / f"{table}.parquet", data)
