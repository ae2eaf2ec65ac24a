"""The verdicts of mutants, in a file that a run continues, and the score that they give."""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from checker.verdict.brief import EXERCISES
from checker.verdict.results import write_whole
from lab.settings import settings
from lab.stack.lock import locked
from tests.checker.mutation.sample import ReferenceMutant, sample

VERDICTS = Path(__file__).with_name("verdicts.json")
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
SURVIVED, KILLED, ERROR = "survived", "killed", "error"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a mutant: the criterion that failed, and a digest of what graded it."""

    outcome: str
    by: str
    checks: str


@dataclass(frozen=True)
class Score:
    """The numbers of an exercise's sampled mutants."""

    sample: int
    graded: int
    killed: int
    equivalent: int

    @property
    def surviving(self) -> int:
        return self.graded - self.killed - self.equivalent


def verdicts() -> dict[str, Verdict]:
    """Return the verdicts by mutant."""
    stored = json.loads(VERDICTS.read_text()) if VERDICTS.exists() else {}
    return {name: Verdict(**values) for name, values in stored.items()}


def equivalent() -> dict[str, str]:
    """Return the reason for each mutant that counts as equivalent."""
    return tomllib.loads(EQUIVALENT.read_text())


def keep(mutant: ReferenceMutant, verdict: Verdict) -> None:
    """Store a verdict, and delete those of mutants that are no longer in the sample."""
    names = [str(m) for exercise in EXERCISES for m in sample(exercise)]
    with locked(settings.build_dir / "verdicts", timeout_s=settings.stack_timeout_s):
        known = {**verdicts(), str(mutant): verdict}
        stored = {name: asdict(known[name]) for name in names if name in known}
        write_whole(VERDICTS, json.dumps(stored, indent=1) + "\n")


def score(exercise: int) -> Score:
    """Return the numbers of an exercise; trouble of ours counts as not graded."""
    names, known = set(map(str, sample(exercise))), verdicts()
    outcome = {n: v.outcome for n, v in known.items() if n in names and v.outcome != ERROR}
    left = [name for name in outcome if outcome[name] == SURVIVED]
    same = [name for name in left if name in equivalent()]
    return Score(len(names), len(outcome), len(outcome) - len(left), len(same))
