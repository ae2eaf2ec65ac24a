"""Make lab/quiz.json, the questions of `lab quiz`, from the wrong submissions.

python -m tests.checker.quiz
"""

import difflib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.quiz import QUESTIONS, Question
from tests.checker.matrix import verdicts
from tests.checker.mutants import PLAIN, Mutant, copy_plain, mutants

CONTEXT = 8  # lines of code around the mistake


def questions() -> Iterator[Question]:
    """Yield a question for each wrong submission, in the order of the criteria."""
    for exercise in range(1, 7):
        messages = verdicts(exercise)
        for mutant in mutants(exercise):
            code, correction = _code_of(mutant)
            yield Question(
                mutant.criterion, code, messages[str(mutant)].message, mutant.mistake, correction
            )


def _code_of(mutant: Mutant) -> tuple[str, str]:
    """Return the code with the mistake, and the difference to the right code, file by file."""
    code, correction = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_plain(Path(scratch))
        mutant.write(folder)
        for name in dict.fromkeys(edit.file for edit in mutant.edits):
            wrong = _lines(folder / name)
            right = _lines(PLAIN / name)
            code += [f"# {name}", *_changed_parts(right, wrong)]
            diff = list(difflib.unified_diff(wrong, right, "wrong", "right", lineterm="", n=2))
            correction += diff[2:]
    return "\n".join(code), "\n".join(correction)


def _changed_parts(right: list[str], wrong: list[str]) -> Iterator[str]:
    """Yield the lines of the wrong file near a change."""
    matcher = difflib.SequenceMatcher(None, right, wrong, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number:
            yield "..."
        yield from wrong[group[0][3] : group[-1][4]]


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def text() -> str:
    """Return the file's content."""
    return json.dumps([question._asdict() for question in questions()], indent=1) + "\n"


if __name__ == "__main__":
    QUESTIONS.write_text(text())
