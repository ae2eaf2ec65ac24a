"""`lab progress`: the criteria of a workspace that passed when last checked, and what is next."""

import json
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from checker.run.runner import criteria_of
from checker.submission.diff import exercise_diff
from checker.submission.workspace import STARTER
from checker.verdict.brief import EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard, write_whole
from lab.errors import UserError
from lab.settings import ROOT

FILE = "progress.json"
GOAL, ADVANCED = 4, (4, 5)  # the brief's: four exercises, one of them advanced


def record(card: Scorecard, build_dir: Path) -> None:
    """Add the verdicts of a check to those of earlier ones."""
    passed = read(build_dir)
    passed |= {result.criterion.id: result.status is Status.PASS for result in card.results}
    write_whole(build_dir / FILE, json.dumps(passed, indent=1))


def read(build_dir: Path) -> dict[str, bool]:
    """Return the criteria that were checked, with whether each passed."""
    file = build_dir / FILE
    try:
        return dict(json.loads(file.read_text())) if file.exists() else {}
    except (TypeError, ValueError) as error:
        raise UserError(f"{file} is not of lab check", f"rm {quote(str(file))}") from error


def lines(workspace: Path, build_dir: Path) -> Iterator[str]:
    """Yield a line for each exercise, the brief's goal, and the next command."""
    passed, open_exercises = read(build_dir), unfinished(build_dir)
    for number, title in EXERCISES.items():
        ids = criteria_of(number)
        done = f"{sum(passed.get(identifier, False) for identifier in ids)} of {len(ids)}"
        if number in open_exercises and _differs(workspace, number, ROOT) is False:
            done = "not yours: the solution's files"
        mark = " " if number in open_exercises else "x"
        yield f"[{mark}] {number} {title:<42}{done}"
    complete = EXERCISES.keys() - set(open_exercises)
    is_reached = len(complete) >= GOAL and not complete.isdisjoint(ADVANCED)
    reached = "reached" if is_reached else "not reached yet"
    yield f"goal: {GOAL} exercises, among them 4 or 5: {reached}"
    if open_exercises:
        yield "  next: lab check"


def unfinished(build_dir: Path) -> list[int]:
    """Return the exercises of which a criterion has not passed yet."""
    passed = read(build_dir)
    return [number for number in EXERCISES if not all(map(passed.get, criteria_of(number)))]


def next_exercise(workspace: Path, build_dir: Path) -> int | None:
    """Return the first exercise that is begun and has not passed, else the first that is open.

    One without a folder, or with the solution's files by `lab new --from`, is left out.
    """
    own = [number for number in unfinished(build_dir) if _differs(workspace, number, ROOT)]
    begun = [number for number in own if _differs(workspace, number, STARTER)]
    return next(iter(begun or own), None)


def _differs(workspace: Path, number: int, other: Path) -> bool | None:
    """Return whether an exercise differs; None when the workspace has no folder of it."""
    try:
        return any(exercise_diff(number, workspace, other))
    except UserError:
        return None
