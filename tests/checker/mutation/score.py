"""Grade the sampled mutants and write the page: python -m tests.checker.mutation.score [ONLY].

Each verdict is stored as it comes, and a run continues where the last one stopped. ONLY is an
exercise or a mutant; `survivors`, graded again; `old`, those that other checks graded; or `page`.
"""

import hashlib
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from checker.hidden.hidden_source import make_hidden_data
from checker.run.runner import Grader, criteria_of
from checker.sandbox.sandbox import sandbox
from checker.settings import CheckerSettings
from checker.verdict.brief import EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Result
from lab.settings import utc_now
from tests.checker.digests import grading_content
from tests.checker.limits import LOWERED
from tests.checker.matrix import SEED
from tests.checker.mutants import copy_reference, with_tables
from tests.checker.mutation.page import write_page
from tests.checker.mutation.sample import ReferenceMutant, sample
from tests.checker.mutation.verdicts import (
    ERROR,
    KILLED,
    SURVIVED,
    Verdict,
    equivalent,
    keep,
    verdicts,
)

STOPPED = 128 + signal.SIGTERM


class Decided(Exception):
    """A criterion has not passed."""


def grade(mutant: ReferenceMutant, by: Grader, folder: Path, tables: Path) -> Verdict:
    """Grade a mutant on its exercise, up to the first criterion that does not pass."""
    copy_reference(folder)
    with_tables(folder, tables)
    (folder / mutant.file).write_text(mutant.mutated())
    decided: list[Result] = []

    def stop(result: Result) -> None:
        if result.status is not Status.PASS:
            decided.append(result)
            raise Decided

    with suppress(Decided):
        by.grade(folder, criteria_of(mutant.exercise), stop)
    return verdict_of(decided, checks_of(mutant.exercise))


def verdict_of(decided: Sequence[Result], checks: str) -> Verdict:
    """Return the verdict by the criterion that decided, if one did.

    A skipped one needs an earlier exercise, which no mutant changes: that is trouble of ours.
    """
    if not decided:
        return Verdict(SURVIVED, "", checks)
    is_error = decided[0].status in (Status.ERROR, Status.SKIPPED)
    return Verdict(ERROR if is_error else KILLED, decided[0].criterion.id, checks)


def checks_of(exercise: int) -> str:
    """Return a digest of the code that grades an exercise."""
    return hashlib.sha256(grading_content(exercise).encode()).hexdigest()[:8]


def chosen(only: str) -> list[ReferenceMutant]:
    """Return the mutants of `ONLY`."""
    return [m for exercise in EXERCISES for m in sample(exercise) if _is_chosen(m, only)]


def _is_chosen(mutant: ReferenceMutant, only: str) -> bool:
    verdict = verdicts().get(str(mutant))
    if only == "survivors":
        is_survivor = verdict is not None and verdict.outcome == SURVIVED
        return is_survivor and str(mutant) not in equivalent()
    is_new = verdict is None or verdict.outcome == ERROR
    if only == "old":
        return is_new or (verdict is not None and verdict.checks != checks_of(mutant.exercise))
    return only == str(mutant) or (is_new and only in ("", str(mutant.exercise)))


def run(mutants: Sequence[ReferenceMutant]) -> None:
    """Grade mutants in one sandbox and on one set of hidden data, and store each verdict."""
    with TemporaryDirectory(prefix="mutation-") as name, sandbox(CheckerSettings()) as box:
        lowered = {**LOWERED, "data_dir": Path(name) / "no_data"}
        config = CheckerSettings().model_copy(update=lowered)
        hidden = make_hidden_data(Path(name) / "hidden", SEED, utc_now(), config)
        for number, mutant in enumerate(mutants, 1):
            start = time.monotonic()
            with TemporaryDirectory(dir=name) as folder:
                by = Grader(box, hidden, config)
                verdict = grade(mutant, by, Path(folder) / "reference", hidden.directory)
            keep(mutant, verdict)
            took = f"{time.monotonic() - start:.0f} s"
            progress = f"{number}/{len(mutants)} {mutant}"
            print(f"{progress} {verdict.outcome} {verdict.by} {took}", flush=True)


def main() -> None:
    """Grade what ONLY names, and write the page."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    mutants = chosen(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        if mutants:
            run(mutants)
    finally:
        write_page()


if __name__ == "__main__":
    main()
