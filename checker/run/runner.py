"""Grades a submission: each criterion after those that it needs, each verdict made here."""

import secrets
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite
from pathlib import Path

import pyarrow as pa
import redis
from google.protobuf.message import DecodeError

from checker.hidden.hidden_data import HiddenData
from checker.hidden.hidden_source import make_hidden_data
from checker.run.time_limit import time_limit
from checker.sandbox.process import log_size, log_tail
from checker.sandbox.sandbox import Sandbox, sandbox
from checker.settings import CheckerSettings
from checker.submission.submission import Submission
from checker.verdict.brief import CRITERIA, BriefCriterion, with_needs
from checker.verdict.criterion import Check, checks_in
from checker.verdict.hints import hint_for
from checker.verdict.outcome import MachineTooBusyError, NotAttemptedError, Status, SubmissionError
from checker.verdict.provenance import provenance
from checker.verdict.results import Result, Scorecard
from lab.settings import ROOT, utc_now

# What a submission's data may do to who reads them; all other exceptions are bugs of ours.
UNREADABLE = (pa.ArrowException, DecodeError, MemoryError, RecursionError)
REDIS_CHANGED = "the submission left Redis in a state in which the grader cannot use it"
REDIS_HINT = "leave the server as it is: no new limits or ports by CONFIG SET, no endless scripts"
OnResult = Callable[[Result], None]


class Grader:
    """Grades any number of submissions, one after the other, on the same hidden data.

    The limits are those of `config`.
    """

    def __init__(self, box: Sandbox, hidden: HiddenData, config: CheckerSettings) -> None:
        self._box = box
        self._hidden = hidden
        self.config = config
        self._checks = checks_in(ROOT)

    def grade(
        self, folder: Path, ids: Iterable[str], on_result: OnResult = lambda _: None
    ) -> Scorecard:
        """Grade the criteria `ids` of a submission's `folder`; `on_result` receives each result."""
        wanted = set(ids)
        made_with = provenance(self.config, folder)
        self._box.renew()
        deadline = time.monotonic() + self.config.submission_limit_s
        submission = Submission(folder, self._box, self._hidden.unchanged(), self.config)
        results: dict[str, Result] = {}
        try:
            for item in with_needs(wanted):
                result = self._judge(item, submission, results, deadline)
                result = replace(result, weight=self.config.weights.get(item.id, 1.0))
                results[item.id] = result
                if item.id in wanted:
                    on_result(result)
        finally:
            self._box.close_children()
        return Scorecard(
            submission=folder.resolve().name,
            seed=self._hidden.seed,
            results=[result for identifier, result in results.items() if identifier in wanted],
            provenance=made_with,
            data={
                "source": self._hidden.source.name,
                "shifted_weeks": self._hidden.source.shifted_weeks,
                "not_critical": self._hidden.absent,
            },
        )

    def _judge(
        self,
        item: BriefCriterion,
        submission: Submission,
        earlier: dict[str, Result],
        deadline: float,
    ) -> Result:
        missing = [need for need in item.needs if earlier[need].status is not Status.PASS]
        if missing:
            waits_for = ", ".join(missing)
            if all(earlier[need].status is Status.NOT_ATTEMPTED for need in missing):
                return Result(item, Status.NOT_ATTEMPTED, message=f"needs {waits_for}")
            return Result(item, Status.SKIPPED, message=f"needs {waits_for}")
        check = self._checks.get(item.id)
        if check is None:
            return Result(item, Status.NOT_ATTEMPTED, message="nothing to check yet")
        start, log_start = time.monotonic(), log_size(submission.log)
        if start > deadline:
            limit_s = self.config.submission_limit_s
            said = f"not judged: the criteria before it took more than {limit_s:g} s"
            return Result(item, Status.FAIL, message=said)
        limit_s = min(self.config.criterion_limit_s, deadline - start)
        result = _verdict(item, check, submission, limit_s)
        if result.status is Status.FAIL and (trouble := self._box.trouble()):
            result = Result(item, Status.ERROR, message=trouble, log_tail=result.message)
        if result.status is Status.FAIL:
            said = result.log_tail or log_tail(submission.log, log_start)
            result = replace(result, hint=hint_for(result), log_tail=said)
        return replace(result, seconds=round(time.monotonic() - start, 2))


def _verdict(item: BriefCriterion, check: Check, submission: Submission, limit_s: float) -> Result:
    try:
        with time_limit(limit_s):
            outcome = check(submission)
    except NotAttemptedError as missing:
        return Result(item, Status.NOT_ATTEMPTED, message=str(missing))
    except SubmissionError as error:
        return Result(
            item, Status.FAIL, message=error.message, hint=error.hint, log_tail=error.log_tail
        )
    except redis.RedisError as error:
        return Result(item, Status.FAIL, message=f"{REDIS_CHANGED}: {error}", hint=REDIS_HINT)
    except UNREADABLE as error:
        return Result(item, Status.FAIL, message=f"data that cannot be read: {error}")
    except MachineTooBusyError as busy:
        return Result(item, Status.ERROR, message=str(busy))
    except Exception as bug:  # noqa: BLE001 - our own fault is a status, and the run reports it
        message = f"{type(bug).__name__}: {bug}"
        return Result(item, Status.ERROR, message=message, log_tail=traceback.format_exc())
    return Result(
        item,
        Status.PASS if outcome.passed else Status.FAIL,
        measured=outcome.measured,
        required=outcome.required,
        message=outcome.message,
        hint=outcome.hint,
        examples=tuple(outcome.examples)[:3],
        notes=tuple(outcome.notes),
        figures={n: float(value) for n, value in outcome.figures.items() if isfinite(value)},
    )


@contextmanager
def grader(
    config: CheckerSettings,
    seed: int | None = None,
    *,
    own_network: bool = False,
    within: Path | None = None,
) -> Iterator[Grader]:
    """A grader with its sandbox; without a seed the hidden data are new each time.

    What it writes is in new folders `within` another one, or in that for temporary files.
    """
    chosen = secrets.randbelow(2**31) if seed is None else seed
    with (
        sandbox(config, own_network=own_network, within=within) as box,
        tempfile.TemporaryDirectory(prefix="lab-hidden-", dir=within) as hidden,
    ):
        data = make_hidden_data(Path(hidden), chosen, utc_now(), config)
        yield Grader(box, data, config)


def criteria_of(exercise: int | None) -> list[str]:
    """The ids of an exercise's criteria, or all 35."""
    return [c.id for c in CRITERIA if exercise in (None, c.exercise)]
