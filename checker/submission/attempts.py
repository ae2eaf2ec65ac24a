"""Reasons to report in place of "not attempted" where an exercise has code but nothing to grade."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

from checker.submission.exercise_folders import is_of
from checker.submission.functions import all_functions, brief_functions, top_level_functions
from checker.submission.intake import Intake, some
from checker.submission.scripts import scripts
from checker.submission.syntax import problem_of
from checker.verdict.hints import hint_for
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard

FUNCTION = re.compile(r"no file in .* defines (\w+)\(\)")
FILE = re.compile(r"(?<=^no )(script next to )?\S+\.(py|yaml)\b")
NEEDS = "needs "
ALIKE = 0.6


def with_reasons(card: Scorecard, taken: Intake) -> Scorecard:
    """Return a scorecard in which no exercise with code in it is "not attempted"."""
    attempts = Attempts(taken)
    return replace(card, results=[attempts.final(result) for result in card.results])


class Attempts:
    """The exercises of a submission, while its results come in the order of the brief."""

    def __init__(self, taken: Intake) -> None:
        self._taken = taken
        self._failed: set[str] = set()

    def final(self, result: Result) -> Result:
        """Return a result, as a failure where there is code and nothing of it can be graded.

        What needs a criterion that fails so is skipped.
        """
        number = result.criterion.exercise
        if (note := self._taken.notes.get(number)) and result.criterion.id.endswith(".1"):
            result = replace(result, notes=(*result.notes, note))
        if result.status is not Status.NOT_ATTEMPTED:
            return result
        if result.message.startswith(NEEDS):
            return self._dependent(result)
        reason = self._reason(number, result.message)
        if not reason:
            return result
        self._failed.add(result.criterion.id)
        failed = replace(result, status=Status.FAIL, message=reason)
        return replace(failed, hint=hint_for(failed))

    def _dependent(self, result: Result) -> Result:
        """Skip what has code, and needs an exercise without any, or a criterion that failed."""
        needs, number = result.criterion.needs, result.criterion.exercise
        elsewhere = any(not need.startswith(f"{number}.") for need in needs)
        if self._failed & set(needs) or (elsewhere and self._code(number)):
            self._failed.add(result.criterion.id)
            return replace(result, status=Status.SKIPPED)
        return result

    def _code(self, number: int) -> list[Path]:
        name = self._taken.exercises.get(number)
        return scripts(self._taken.folder / name) if name else []

    def _reason(self, number: int, message: str) -> str:
        """Return why nothing is graded; "" where it is still to be written."""
        name = self._taken.exercises.get(number)
        if name is None:
            found = [path for path in self._taken.outside if is_of(path, number)]
            expected = f"an exercise_{number:02d}… folder at the top of the submission"
            return f"found {some(found)}, expected {expected}" if found else ""
        folder = self._taken.folder / name
        if problems := [*self._broken(number), *self._unread(name)]:
            return "; ".join(problems[:2])
        if function := FUNCTION.search(message):
            return _other_functions(folder, number, function[1])
        others = [str(file.relative_to(folder)) for file in self._code(number)]
        if file := FILE.search(message):
            return f"found {some(_nearest(others, file[0]))}, expected {file[0]}" if others else ""
        unused = [path.name for path in folder.rglob("*") if re.search(r"\.py\W", path.name)]
        return f"found {some(unused)}, expected a name that ends in .py" if unused else ""

    def _broken(self, number: int) -> Iterator[str]:
        """Yield a sentence on each script that is not Python, by its path in the submission."""
        for file in self._code(number):
            if problem := problem_of(file.read_bytes()):
                yield f"{file.relative_to(self._taken.folder)}, {problem}"

    def _unread(self, name: str) -> list[str]:
        """Return the sentences on notebooks and cells of an exercise that could not be read."""
        return [note for note in self._taken.unread if note.removeprefix("of ").startswith(name)]


def _other_functions(folder: Path, number: int, expected: str) -> str:
    """Return what is defined in place of a function; "" where that is a stub, or not begun."""
    if expected in top_level_functions(folder):
        return ""
    every = all_functions(folder)
    if expected in every:
        return f"{expected} is not at the top level of its file"
    found = sorted(every - brief_functions(number))
    if every and not found:
        return ""
    return f"found {some(_nearest(found, expected)) or 'no function'}, expected {expected}"


def _nearest(names: Sequence[str], expected: str) -> list[str]:
    """Return the names that resemble the expected one, or all of them, the nearest first."""
    likeness = {name: SequenceMatcher(None, name, expected).ratio() for name in names}
    ordered = sorted(likeness, key=lambda name: -likeness[name])
    return [name for name in ordered if likeness[name] > ALIKE] or ordered
