"""All 35 criteria of one submission, the others during the last wait of exercise 5.

5.6 waits until five minutes have passed, with the machine idle. So exercise 5 begins, in a process
with services of its own, and all other exercises are graded once 5.5 has its result: no criterion
that is timed runs next to one that loads the machine.
"""

import secrets
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from checker.run.grading_process import GradingProcess
from checker.run.runner import Grader, OnResult, criteria_of, grader
from checker.settings import CheckerSettings
from checker.verdict.results import Result, Scorecard

STREAMING = 5
BEFORE_THE_WAIT = "5.5"
LOG = "grader.log"
POLL_S = 0.5


class OverlappingGrader:
    """Grades like a `Grader`, with a second process for exercise 5 where others are graded too."""

    def __init__(self, others: Grader, streaming: GradingProcess) -> None:
        self.config = others.config
        self._others = others
        self._streaming = streaming

    def grade(self, folder: Path, ids: Sequence[str], on_result: OnResult) -> Scorecard:
        """Grade the criteria of a submission; with all 35, `on_result` is called by two threads."""
        if set(ids) != set(criteria_of(None)):
            return self._others.grade(folder, ids, on_result)
        is_waiting, own = threading.Event(), criteria_of(STREAMING)
        with ThreadPoolExecutor(1) as thread:
            notify = partial(_notify, on_result, is_waiting)
            graded = thread.submit(self._streaming.grade, folder, own, notify)
            graded.add_done_callback(lambda _: is_waiting.set())
            try:
                is_waiting.wait()
                rest = [identifier for identifier in ids if identifier not in own]
                card = self._others.grade(folder, rest, on_result)
                return _in_order(card, graded.result(), ids)
            finally:
                self._end(graded)

    def _end(self, graded: Future[Scorecard]) -> None:
        while not graded.done():  # its process may be starting just now
            self._streaming.kill()
            wait([graded], POLL_S)
        self._streaming.kill()


def _notify(on_result: OnResult, is_waiting: threading.Event, result: Result) -> None:
    on_result(result)
    if result.criterion.id == BEFORE_THE_WAIT:
        is_waiting.set()


def _in_order(card: Scorecard, streaming: Scorecard, ids: Sequence[str]) -> Scorecard:
    results = {result.criterion.id: result for result in [*card.results, *streaming.results]}
    return replace(card, results=[results[identifier] for identifier in ids])


@contextmanager
def overlapping_grader(config: CheckerSettings, seed: int | None) -> Iterator[OverlappingGrader]:
    """A grader of both parts, on hidden data of one seed; without a seed, of a new one."""
    chosen = secrets.randbelow(2**31) if seed is None else seed
    with grader(config, chosen) as others:
        yield OverlappingGrader(others, GradingProcess(chosen, config.build_dir / LOG, config))
