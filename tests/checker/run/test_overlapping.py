"""The other exercises are graded during the last wait of exercise 5, and results are in order."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checker.run.overlapping import OverlappingGrader
from checker.run.runner import criteria_of
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard
from tests.checker.cards import card

ALL = criteria_of(None)
FIRST, LAST = criteria_of(5)[:5], criteria_of(5)[5:]
OTHERS = [identifier for identifier in ALL if BY_ID[identifier].exercise != 5]


class Part:
    """Stands for a grader or its process: it reports `first`, waits, and reports what is left."""

    config = None

    def __init__(self, first: Sequence[str] = (), wait: Callable[[], Any] = lambda: None) -> None:
        self.first, self.wait = first, wait

    def grade(self, _: Path, ids: Sequence[str], on_result: Callable[[Result], None]) -> Scorecard:
        results = [Result(BY_ID[identifier], Status.PASS) for identifier in ids]
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
def test_all_criteria_are_graded_and_the_others_during_the_wait(first: list[str]) -> None:
    reported: list[str] = []

    def on_result(result: Result) -> None:
        reported.append(result.criterion.id)
        if result.criterion.id == OTHERS[-1]:
            others_are_graded.set()

    others_are_graded = threading.Event()
    parts: list[Any] = [Part(), Part(first, lambda: first and others_are_graded.wait(10))]
    graded = OverlappingGrader(*parts).grade(Path(), ALL, on_result)
    assert [result.criterion.id for result in graded.results] == ALL
    assert reported == ([*FIRST, *OTHERS, *LAST] if first else [*FIRST, *LAST, *OTHERS])


def test_a_part_is_graded_in_turn() -> None:
    parts: list[Any] = [Part(), Part(wait=pytest.fail)]
    graded = OverlappingGrader(*parts).grade(Path(), ["5.1", "1.1"], lambda _: None)
    assert len(graded.results) == 2
