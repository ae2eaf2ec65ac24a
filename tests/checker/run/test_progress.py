"""`lab progress` adds up the checks of a workspace."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from checker.run import progress
from checker.submission.workspace import make_workspace
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard
from lab.errors import UserError
from tests.checker.cards import card


def card_of(statuses: Mapping[str, Status]) -> Scorecard:
    """Return a scorecard of these criteria only."""
    whole = card(**{f"c{key.replace('.', '_')}": status for key, status in statuses.items()})
    return replace(whole, results=[r for r in whole.results if r.criterion.id in statuses])


def test_checks_add_up_and_a_later_verdict_counts(tmp_path: Path) -> None:
    first = {"1.1": Status.PASS, "1.2": Status.FAIL}
    progress.record(card_of(first), tmp_path)
    progress.record(card_of({"1.2": Status.PASS, "2.1": Status.NOT_ATTEMPTED}), tmp_path)
    assert progress.read(tmp_path) == {"1.1": True, "1.2": True, "2.1": False}
    text = "\n".join(progress.lines(tmp_path, tmp_path))
    assert "[ ] 1 Set up the feature store                  2 of 6" in text
    assert text.endswith("next: lab check")


def test_the_goal_is_four_exercises_with_an_advanced_one(tmp_path: Path) -> None:
    def goal(*exercises: int) -> str:
        folder = tmp_path / "".join(map(str, exercises))
        ids = (identifier for identifier, c in BY_ID.items() if c.exercise in exercises)
        progress.record(card_of(dict.fromkeys(ids, Status.PASS)), folder)
        return next(line for line in progress.lines(folder, folder) if line.startswith("goal"))

    assert goal(1, 2, 3, 6).endswith("not reached yet")
    assert goal(1, 2, 4).endswith("not reached yet")
    assert goal(1, 2, 3, 4).endswith(": reached")


def test_the_next_exercise_is_the_first_that_is_begun_and_not_the_solutions(
    tmp_path: Path,
) -> None:
    def passed(number: int) -> None:
        ids = (identifier for identifier, c in BY_ID.items() if c.exercise == number)
        progress.record(card_of(dict.fromkeys(ids, Status.PASS)), tmp_path)

    mine = tmp_path / "mine"
    make_workspace(mine, first=3)
    assert progress.next_exercise(mine, tmp_path) == 3
    first, second, third, *_ = progress.lines(mine, tmp_path)
    assert first.endswith("not yours: the solution's files")
    assert second.endswith("not yours: the solution's files")
    assert third.endswith("0 of 6")
    passed(3)
    assert progress.next_exercise(mine, tmp_path) == 4
    file = mine / "exercise_06_monitoring" / "feature_monitoring.py"
    file.write_bytes(file.read_bytes() + b"LIMIT = 0.25  # caf\xe9\n")
    assert progress.next_exercise(mine, tmp_path) == 6
    for number in (4, 5, 6):
        passed(number)
    assert progress.next_exercise(mine, tmp_path) is None


def test_a_file_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / progress.FILE).write_text("{half")
    with pytest.raises(UserError, match="is not of lab check"):
        progress.read(tmp_path)
