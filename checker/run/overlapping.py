"""All 35 criteria of one submission, the others during the last wait of exercise 5.

5.6 waits until five minutes have passed, with the machine idle. So exercise 5 begins, in a process
with services of its own, and all other exercises are graded once 5.5 has its result: no criterion
that is timed runs next to one that loads the machine.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from checker.run.grading_process import GradingProcess
from checker.run.runner import Grader, OnResult, criteria_of
from checker.submission.copying import EXERCISE_FOLDER
from checker.submission.scripts import scripts
from checker.verdict.results import Result, Scorecard

STREAMING = 5
BEFORE_THE_WAIT = "5.5"
LOG = "grader.log"
POLL_S = 0.5


def grade_all(
    by: Grader, seed: int, folder: Path, ids: Sequence[str], on_result: OnResult
) -> Scorecard:
    """Grade all criteria, those of exercise 5 by a process; `on_result` is called in two threads.

    Both have hidden data of the `seed`. Without scripts in exercise 5 there is nothing to wait for.
    """
    if not _has_scripts(folder, STREAMING):
        return by.grade(folder, ids, on_result)
    is_waiting, streaming = threading.Event(), criteria_of(STREAMING)
    process = GradingProcess(seed, by.config.build_dir / LOG, by.config)

    def on_streaming(result: Result) -> None:
        on_result(result)
        if result.criterion.id == BEFORE_THE_WAIT:
            is_waiting.set()

    with ThreadPoolExecutor(1) as thread:
        graded = thread.submit(process.grade, folder, streaming, on_streaming)
        graded.add_done_callback(lambda _: is_waiting.set())
        try:
            is_waiting.wait()
            card = by.grade(folder, set(ids) - set(streaming), on_result)
            results = {r.criterion.id: r for r in [*card.results, *graded.result().results]}
            return replace(card, results=[results[identifier] for identifier in ids])
        finally:
            _end(process, graded)


def _has_scripts(folder: Path, exercise: int) -> bool:
    found = [(place, EXERCISE_FOLDER.match(place.name)) for place in folder.iterdir()]
    return any(match and int(match[1]) == exercise and scripts(place) for place, match in found)


def _end(process: GradingProcess, graded: Future[Scorecard]) -> None:
    while not graded.done():  # it may be starting just now
        process.kill()
        wait([graded], POLL_S)
    process.kill()
