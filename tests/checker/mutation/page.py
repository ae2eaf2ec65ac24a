"""docs/mutation-score.md, from the sample, the verdicts and the reasons of the equivalents."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from checker.verdict.brief import EXERCISES
from checker.verdict.results import write_whole
from lab.settings import ROOT
from tests.checker.mutation.sample import ReferenceMutant, possible, sample
from tests.checker.mutation.verdicts import KILLED, SURVIVED, equivalent, score, verdicts

SCORES = Path(__file__).with_name("scores.json")
PAGE = ROOT / "docs" / "mutation-score.md"
INTRO = """# The checker's mutation score

<!-- Made by `make mutation-score`; edit tests/checker/mutation, not this page. -->

The share of small faults in a right solution that the checker finds.
[cosmic-ray](https://cosmic-ray.readthedocs.io) changes the Python of the reference's exercises: an
operator, a number, a condition. Patterns of ours,
[operators.toml](../tests/checker/mutation/operators.toml), change its SQL (window, boundary,
aggregate, key, lateness) and its Feast definitions (type, TTL, field, entity, time columns). Each
mutant is graded on its exercise, up to the first criterion that fails, with the
[limits of the tests](../tests/checker/limits.py).

- [scope.toml](../tests/checker/mutation/scope.toml) defines what is mutated: the solution without
  `production/`, messages, types, and what no criterion runs or grades, with the reason. In
  exercises 4 and 6 lines were also left out after a mutant of them had survived, where the
  [contract](contract.md) leaves them open; [grading](grading.md) lists what the verdict does not
  see.
- Sixty mutants of each exercise are drawn by a fixed seed. An edit elsewhere in the reference
  leaves them as they are.
- *Equivalent* are mutants that a black box cannot distinguish from the reference, or that
  the [contract](contract.md) allows; at most one in ten.
- The score is killed / (graded - equivalent). Required: 90 % in each exercise, all graded.

| exercise | possible | sample | graded | killed | equivalent | surviving | score |
|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    parts = [INTRO, *map(_row, EXERCISES)]
    known, reasons = verdicts(), equivalent()
    for exercise, title in EXERCISES.items():
        found = {m: known[str(m)] for m in sample(exercise) if str(m) in known}
        counts = Counter(verdict.by for verdict in found.values() if verdict.outcome == KILLED)
        by = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        parts.append(f"\n## {exercise}. {title}\n\nKilled by criterion: {by or 'none yet'}.\n")
        left = [mutant for mutant, verdict in found.items() if verdict.outcome == SURVIVED]
        parts += [_entry(mutant, reasons.get(str(mutant))) for mutant in left]
    return "".join(parts)


def _row(exercise: int) -> str:
    numbers, every = score(exercise), len(possible(exercise))
    counted = numbers.graded - numbers.equivalent
    is_whole = numbers.graded == numbers.sample  # who survives takes longest, and comes last
    share = f"{numbers.killed / counted:.0%}" if is_whole else "not all graded"
    cells = [every, *asdict(numbers).values(), numbers.surviving, share]
    return f"| {exercise}. {EXERCISES[exercise]} | {' | '.join(map(str, cells))} |\n"


def _entry(mutant: ReferenceMutant, reason: str | None) -> str:
    kind = f"equivalent: {reason}" if reason else "**survived**"
    place = f"`{mutant}` `{mutant.file}`, `{mutant.definition}`"
    return f"\n{place}; {kind}\n\n```diff\n{mutant.diff()}\n```\n"


def write_page() -> None:
    """Write the page, and its figures for `make bench`."""
    scores = {exercise: asdict(score(exercise)) for exercise in EXERCISES}
    write_whole(SCORES, json.dumps(scores, indent=1) + "\n")
    write_whole(PAGE, page())
