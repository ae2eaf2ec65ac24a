"""Wrong submissions, each the reference with one realistic mistake; tests/submissions/wrong.

    make matrix                                       # grade all, write docs/mutants.md
    make matrix ONLY=changed                          # those with a changed patch or changed checks
    make matrix ONLY=test_grading_exercise_5          # those of an exercise
    make matrix ONLY="5.3-latest_offset or cached"    # some, by name

Each verdict is kept beside its TOML file; `.venv/bin/python tests/checker/matrix.py` makes the page
of them without grading anything.
"""

import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checker.verdict.brief import BY_ID, CRITERIA
from checker.verdict.outcome import Status
from lab.dataset.tables import FEATURE_TABLES
from lab.settings import ROOT

SUBMISSIONS = ROOT / "tests" / "submissions"
WRONG = SUBMISSIONS / "wrong"
PREPARE = 'prepare = "lab data features"\n'
BUILT = shutil.ignore_patterns("__pycache__", "data")


@dataclass(frozen=True)
class Edit:
    """Text of a file that is replaced; without `old` the file is new."""

    file: str
    new: str
    old: str | None = None

    def apply(self, folder: Path) -> None:
        """Edit the file below `folder`; AssertionError when the reference has moved on."""
        path = folder / self.file
        if self.old is None:
            assert not path.exists(), f"{self.file} is there already"
            path.write_text(self.new)
            return
        source = path.read_text()
        assert source.count(self.old) == 1, f"{self.file} has this not once: {self.old}"
        path.write_text(source.replace(self.old, self.new))


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the one criterion of its exercise that must catch it."""

    criterion: str
    name: str
    mistake: str
    edits: tuple[Edit, ...]
    limits: dict[str, Any] = field(default_factory=dict)

    @property
    def exercise(self) -> int:
        return BY_ID[self.criterion].exercise

    def __str__(self) -> str:
        return f"{self.criterion}-{self.name}"

    def write(self, folder: Path) -> None:
        """Make the mistake in a copy of the reference."""
        for edit in self.edits:
            edit.apply(folder)

    def expected(self) -> dict[str, Status]:
        """Its criterion fails, what needs that is skipped, and the rest of the exercise passes."""
        status = {self.criterion: Status.FAIL}
        for criterion in CRITERIA:
            if criterion.exercise == self.exercise and criterion.id != self.criterion:
                is_met = all(
                    status.get(need, Status.PASS) is Status.PASS for need in criterion.needs
                )
                status[criterion.id] = Status.PASS if is_met else Status.SKIPPED
        return status


def mutants(exercise: int) -> list[Mutant]:
    """The wrong submissions of an exercise, as its TOML file lists them."""
    entries = tomllib.loads((WRONG / f"exercise_{exercise}.toml").read_text())["mutant"]
    return [
        Mutant(
            criterion=entry["criterion"],
            name=entry["name"],
            mistake=entry["mistake"],
            edits=tuple(Edit(**edit) for edit in entry["edits"]),
            limits=entry.get("limits", {}),
        )
        for entry in entries
    ]


def copy_reference(folder: Path) -> None:
    """The reference's exercises, without what running them has left behind."""
    for exercise in sorted(ROOT.glob("exercise_*")):
        shutil.copytree(exercise, folder / exercise.name, ignore=BUILT)
    shutil.copy(ROOT / "submission.toml", folder)


def with_tables(folder: Path, source: Path) -> None:
    """Give a copy of the reference its five feature tables, in place of the command that does."""
    Edit("submission.toml", new="", old=PREPARE).apply(folder)
    data = folder / "exercise_01_setup" / "feature_repo" / "data"
    data.mkdir()
    for table in FEATURE_TABLES:
        shutil.copy(source / f"{table}.parquet", data)
