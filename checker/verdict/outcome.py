"""The result of a check: measured and required values, and the status of a criterion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from checker.verdict.plain_text import plain


class Status(StrEnum):
    """Status of a criterion; ERROR is our own fault, never the learner's."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "skipped"
    NOT_ATTEMPTED = "not_attempted"
    ERROR = "error"

    @property
    def label(self) -> str:
        """As a person writes it."""
        return self.value.replace("_", " ")


@dataclass(frozen=True)
class CounterExample:
    """One case in which the submission was wrong; what it gave is cleaned before it is shown."""

    input: str
    expected: str
    got: str

    def __post_init__(self) -> None:
        for name in ("input", "expected", "got"):
            object.__setattr__(self, name, plain(getattr(self, name)))


@dataclass(frozen=True)
class Outcome:
    """The verdict of one check; notes are measured and shown, never scored.

    Figures are what submissions are compared by, each under its name and unit, such as "p95, ms".
    """

    passed: bool
    measured: str
    required: str
    message: str = ""
    hint: str = ""
    examples: Sequence[CounterExample] = ()
    notes: Sequence[str] = field(default=())
    figures: Mapping[str, float] = field(default_factory=dict)


class SubmissionError(Exception):
    """The submission did what a criterion forbids: it crashed, hung, or returned nonsense."""

    def __init__(self, message: str, hint: str = "", log_tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log_tail = log_tail


class MachineTooBusyError(Exception):
    """The machine was too busy to time anything on it: no fault of the submission's."""


class NotAttemptedError(Exception):
    """The subject of the criterion does not exist yet."""
