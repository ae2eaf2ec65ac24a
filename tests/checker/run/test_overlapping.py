"""The other exercises are graded during the last wait of exercise 5, and results are in order."""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checker.run.overlapping import grade_all
from checker.run.runner import OnResult, criteria_of
from checker.settings import CheckerSettings
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard
from tests.checker.cards import card

ALL = criteria_of(None)
FIRST, LAST = criteria_of(5)[:5], criteria_of(5)[5:]
OTHERS = [identifier for identifier in ALL if BY_ID[identifier].exercise != 5]


class Part:
    """Stands for a grader or its process: it reports `first`, waits, and reports what is left."""

    config = CheckerSettings()

    def __init__(self, first: Sequence[str] = (), wait: Callable[[], Any] = lambda: None) -> None:
        self.first, self.wait = first, wait

    def grade(self, _: Path, ids: Collection[str], on_result: OnResult) -> Scorecard:
        results = [Result(BY_ID[i], Status.PASS) for i in ALL if i in ids]
        early = [result for result in results if result.criterion.id in self.first]
        for result in early:
            on_result(result)
        self.wait()
        for result in results[len(early) :]:
            on_result(result)
        return replace(card(), results=results)

    def kill(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("first", [FIRST, []], ids=["while 5.6 waits", "exercise 5 ended early"])
def test_all_criteria_are_graded_and_the_others_during_the_wait(
    first: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "exercise_05" / "job.py"
    script.parent.mkdir()
    script.write_text("print('begun')")
    reported: list[str] = []
    others_are_graded = threading.Event()

    def on_result(result: Result) -> None:
        reported.append(result.criterion.id)
        if result.criterion.id == OTHERS[-1]:
            others_are_graded.set()

    streaming = Part(first, lambda: first and others_are_graded.wait(10))
    monkeypatch.setattr("checker.run.overlapping.GradingProcess", lambda *_: streaming)
    others: Any = Part()
    graded = grade_all(others, 7, tmp_path, ALL, on_result)
    assert [result.criterion.id for result in graded.results] == ALL
    assert reported == ([*FIRST, *OTHERS, *LAST] if first else [*FIRST, *LAST, *OTHERS])


def test_without_an_exercise_5_all_are_graded_in_turn(tmp_path: Path) -> None:
    others: Any = Part(wait=lambda: None)
    assert len(grade_all(others, 7, tmp_path, ALL, lambda _: None).results) == len(ALL)
