"""The result of grading one submission, as plain data that every renderer starts from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.grading.brief import EXERCISES, BriefCriterion
from lab.grading.outcome import CounterExample, Status

TOTAL = 35


@dataclass(frozen=True)
class Result:
    """How one criterion stands, and what was measured."""

    criterion: BriefCriterion
    status: Status
    measured: str = ""
    required: str = ""
    message: str = ""
    hint: str = ""
    examples: Sequence[CounterExample] = ()
    notes: Sequence[str] = field(default=())
    log_tail: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["criterion"]
        return {"id": self.criterion.id, "title": self.criterion.title, **values}


@dataclass(frozen=True)
class Scorecard:
    """All results of one submission; `seed` replays the hidden data, `data` describes them."""

    submission: str
    seed: int
    results: Sequence[Result]
    data: dict[str, Any] = field(default_factory=dict)

    def count(self, status: Status) -> int:
        return sum(result.status is status for result in self.results)

    def of_exercise(self, number: int) -> list[Result]:
        return [r for r in self.results if r.criterion.exercise == number]

    def status_of(self) -> dict[str, Status]:
        """Status by criterion id."""
        return {result.criterion.id: result.status for result in self.results}

    def as_dict(self) -> dict[str, Any]:
        return {
            "submission": self.submission,
            "passed": self.count(Status.PASS),
            "total": TOTAL,
            "seed": self.seed,
            "data": self.data,
            "exercises": [
                {
                    "number": number,
                    "title": title,
                    "criteria": [result.as_dict() for result in self.of_exercise(number)],
                }
                for number, title in EXERCISES.items()
                if self.of_exercise(number)
            ],
        }

    def write(self, file: Path) -> None:
        """Write the scorecard as JSON, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(self.as_dict(), indent=2) + "\n")
        beside.rename(file)
