"""The result of grading one submission, as plain data that every renderer starts from."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from checker.verdict.brief import BY_ID, EXERCISES, BriefCriterion
from checker.verdict.outcome import CounterExample, Status
from checker.verdict.plain_text import plain
from checker.verdict.provenance import Provenance
from lab.errors import UserError

TOTAL = 35
SCORECARD = "scorecard.json"
DERIVED = {"id", "title", "replay"}


@dataclass(frozen=True)
class Result:
    """Status of one criterion, with its measured value and evidence; texts are safe to show."""

    criterion: BriefCriterion
    status: Status
    measured: str = ""
    required: str = ""
    message: str = ""
    hint: str = ""
    examples: Sequence[CounterExample] = ()
    notes: Sequence[str] = field(default=())
    figures: dict[str, float] = field(default_factory=dict)
    log_tail: str = ""
    seconds: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("measured", "required", "message", "hint"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        object.__setattr__(self, "log_tail", plain(self.log_tail, keep_end=True))
        object.__setattr__(self, "notes", tuple(plain(note) for note in self.notes))

    @property
    def points(self) -> float:
        return self.weight if self.status is Status.PASS else 0.0

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["criterion"]
        return {"id": self.criterion.id, "title": self.criterion.title, **values}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Result":
        """The inverse of `as_dict`; KeyError, TypeError or ValueError when it is none."""
        given = {name: value for name, value in values.items() if name not in DERIVED}
        given["status"] = Status(given["status"])
        given["examples"] = tuple(CounterExample(**case) for case in given["examples"])
        return cls(BY_ID[values["id"]], **given)


@dataclass(frozen=True)
class Scorecard:
    """All results of one submission; `seed` replays the hidden data, `data` describes them.

    `options` are those of `lab grade` that decided on names and packages.
    """

    submission: str
    seed: int
    results: Sequence[Result]
    provenance: Provenance
    data: dict[str, Any] = field(default_factory=dict)
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "submission", plain(self.submission))

    def count(self, status: Status) -> int:
        return sum(result.status is status for result in self.results)

    @property
    def score(self) -> float:
        """The weights of what passed; of `max_score`."""
        return sum(result.points for result in self.results)

    @property
    def max_score(self) -> float:
        return sum(result.weight for result in self.results)

    @property
    def summary(self) -> str:
        """One line: how many of the criteria stand how."""
        others = [
            f"{self.count(status)} {status.label}"
            for status in Status
            if status is not Status.PASS and self.count(status)
        ]
        return ", ".join([f"{self.count(Status.PASS)} of {len(self.results)} passed", *others])

    @property
    def seconds(self) -> float:
        return round(sum(result.seconds for result in self.results), 2)

    def of_exercise(self, number: int) -> list[Result]:
        return [r for r in self.results if r.criterion.exercise == number]

    def status_of(self) -> dict[str, Status]:
        """Status by criterion id."""
        return {result.criterion.id: result.status for result in self.results}

    def replay(self, result: Result) -> str:
        """The command that makes the verdict again, on the same hidden data."""
        number, folder = result.criterion.exercise, shlex.quote(self.submission)
        if not self.options:
            return f"lab check {number} --submission {folder} --seed {self.seed}"
        into = f"--exercise {number} --out replayed/{number}"
        return f"lab grade {folder} {into} --seed {self.seed} {shlex.join(self.options)}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "submission": self.submission,
            "passed": self.count(Status.PASS),
            "total": TOTAL,
            "score": self.score,
            "max_score": self.max_score,
            "seed": self.seed,
            **asdict(self.provenance),
            "data": self.data,
            "options": list(self.options),
            "exercises": [
                {
                    "number": number,
                    "title": title,
                    "criteria": [
                        {**result.as_dict(), "replay": self.replay(result)}
                        for result in self.of_exercise(number)
                    ],
                }
                for number, title in EXERCISES.items()
                if self.of_exercise(number)
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scorecard":
        """The inverse of `as_dict`; KeyError, TypeError or ValueError when it is none."""
        criteria = [c for exercise in values["exercises"] for c in exercise["criteria"]]
        return cls(
            submission=values["submission"],
            seed=values["seed"],
            results=[Result.from_dict(criterion) for criterion in criteria],
            provenance=Provenance.from_dict(values),
            data=values["data"],
            options=tuple(values.get("options", ())),
        )

    def as_json(self) -> str:
        return json.dumps(self.as_dict(), indent=2) + "\n"

    def write(self, file: Path) -> None:
        """Write the scorecard as JSON, whole or not at all."""
        write_whole(file, self.as_json())


def read_scorecard(file: Path) -> Scorecard:
    """A scorecard that was written before; UserError when the file holds none."""
    try:
        return Scorecard.from_dict(json.loads(file.read_text()))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} holds no scorecard of this version", "lab grade DIR") from error


def write_whole(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.rename(file)
