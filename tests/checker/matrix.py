"""The matrix: every wrong submission with its verdict. docs/mutants.md is generated from it.

A verdict is stored with a digest (`digests.py`) of the patch and of the code that grades it; when
that changes, the verdict is out of date, and CI fails until the mutant is graded again.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pytest

from checker.verdict.brief import BY_ID, EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard, write_whole
from lab.settings import ROOT, settings
from lab.stack.lock import locked
from tests.checker.digests import digest_of
from tests.checker.mutants import WRONG, Mutant, mutants

PAGE = ROOT / "docs" / "mutants.md"
SEED = 11
LONGEST = 160
OF_THIS_MACHINE = re.compile(r"/\S*/(?=site-packages/)")

INTRO = """# The grader, graded

<!-- Made by `make matrix`; edit tests/submissions/wrong, not this page. -->

Each of the {count} wrong submissions below is the plain right solution of
`tests/submissions/right/plain` with a single realistic mistake, made by the edits in
`tests/submissions/wrong`. {graded} of them were graded as they are now: each fails its own
criterion, what needs that criterion is skipped, and the rest of its exercise passes. The last
column quotes the grader.

`make matrix` grades all of them and writes this page. CI grades one for each criterion, two of
exercise 5, and fails on an outdated verdict: one of which the patch, the plain solution, the
checks or the checker's code that runs them changed since. Digest of all of these: `{digest}`.
"""


@dataclass(frozen=True)
class Verdict:
    """The result of a mutant: whether the checks found nothing but its mistake; the message."""

    digest: str
    caught: bool
    message: str


def verdicts(exercise: int) -> dict[str, Verdict]:
    """Return the stored verdicts, by mutant."""
    file = _file(exercise)
    stored: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {name: Verdict(**verdict) for name, verdict in stored.items()}


def keep_verdict(mutant: Mutant, card: Scorecard) -> None:
    """Store the verdict of a mutant, and delete those of removed mutants."""
    result = next(r for r in card.results if r.criterion.id == mutant.criterion)
    message = OF_THIS_MACHINE.sub("", result.message or result.measured)
    caught = card.status_of() == mutant.expected()
    new = Verdict(digest_of(mutant), caught, message)
    with locked(settings.build_dir / "verdicts", timeout_s=settings.stack_timeout_s):
        known = {**verdicts(mutant.exercise), str(mutant): new}
        names = [str(m) for m in mutants(mutant.exercise) if str(m) in known]
        stored = {name: asdict(known[name]) for name in names}
        write_whole(_file(mutant.exercise), json.dumps(stored, indent=2, ensure_ascii=False) + "\n")


def _file(exercise: int) -> Path:
    return WRONG / f"exercise_{exercise}.verdicts.json"


def has_changed(mutant: Mutant) -> bool:
    """Return True if a mutant has to be graded again."""
    verdict = verdicts(mutant.exercise).get(str(mutant))
    return verdict is None or not verdict.caught or verdict.digest != digest_of(mutant)


def cases(exercise: int, one_of: Sequence[Sequence[str]] = ()) -> list[Any]:
    """Return the mutants of an exercise as pytest's parameters: all, a `sample`, or `changed` ones.

    The sample holds one of each group of criteria, which is each criterion if nothing is given.
    """
    found = mutants(exercise)
    groups = one_of or [[mutant.criterion] for mutant in found]
    drawn = {str(_draw(found, group)) for group in groups}
    return [
        pytest.param(
            mutant,
            id=str(mutant),
            marks=[
                pytest.mark.matrix,
                *([pytest.mark.sample] if str(mutant) in drawn else []),
                *([pytest.mark.changed] if has_changed(mutant) else []),
            ],
        )
        for mutant in found
    ]


def _draw(found: Sequence[Mutant], criteria: Sequence[str]) -> Mutant:
    return Random(SEED).choice([mutant for mutant in found if mutant.criterion in criteria])


def page() -> str:
    """Return the page, from the patches and the stored verdicts."""
    every = [mutant for exercise in EXERCISES for mutant in mutants(exercise)]
    digest = hashlib.sha256("".join(map(digest_of, every)).encode()).hexdigest()[:16]
    graded = sum(not has_changed(mutant) for mutant in every)
    parts = [INTRO.format(count=len(every), graded=graded, digest=digest)]
    for exercise, title in EXERCISES.items():
        parts.append(f"\n## {exercise}. {title}\n")
        stored = verdicts(exercise)
        by_criterion = sorted(mutants(exercise), key=lambda mutant: mutant.criterion)
        for criterion, group in groupby(by_criterion, key=lambda mutant: mutant.criterion):
            rows = [_row(mutant, stored) for mutant in group]
            parts.append(f"\n**{criterion} {BY_ID[criterion].title}**\n\n{_table(rows)}")
    return "".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [["mutant", "mistake", "verdict", "message"], ["---"] * 4, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(mutant: Mutant, stored: Mapping[str, Verdict]) -> list[str]:
    if has_changed(mutant):
        return [f"`{mutant.name}`", mutant.mistake, "**to be graded**", ""]
    message = _in_a_cell(stored[str(mutant)].message)
    return [f"`{mutant.name}`", mutant.mistake, Status.FAIL.value, message]


def _in_a_cell(text: str) -> str:
    """Return a text of any length and kind as one cell of a table in Markdown."""
    line = " ".join(text.split())
    short = line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()} …"
    for sign in "\\`|<*[":
        short = short.replace(sign, f"\\{sign}")
    return short


if __name__ == "__main__":
    write_whole(PAGE, page())
