"""`lab progress`: which criteria of a workspace passed when they were last checked."""

import json
from collections.abc import Iterator
from pathlib import Path

from checker.verdict.brief import CRITERIA, EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard, write_whole
from lab.errors import UserError

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
        raise UserError(f"{file} is not of lab check", f"rm {file}") from error


def lines(build_dir: Path) -> Iterator[str]:
    """Yield a line for each exercise, the brief's goal, and the next command."""
    passed = read(build_dir)
    complete, following = [], None
    for number, title in EXERCISES.items():
        ids = [criterion.id for criterion in CRITERIA if criterion.exercise == number]
        done = sum(passed.get(identifier, False) for identifier in ids)
        mark = "x" if done == len(ids) else " "
        yield f"[{mark}] {number} {title:<42}{done} of {len(ids)}"
        if done == len(ids):
            complete.append(number)
        elif following is None:
            following = number
    is_reached = len(complete) >= GOAL and not set(ADVANCED).isdisjoint(complete)
    reached = "reached" if is_reached else "not reached yet"
    yield f"goal: {GOAL} exercises, among them 4 or 5: {reached}"
    if following is not None:
        yield f"  next: lab check {following}"
