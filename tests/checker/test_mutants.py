"""The wrong submissions apply, are enough, and were all graded since they last changed."""

import ast
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from checker.verdict.brief import BY_ID, CRITERIA, EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard
from tests.checker import cards, matrix
from tests.checker.digests import digest_of
from tests.checker.edits import Create
from tests.checker.mutants import Mutant, copy_plain, mutants

EVERY = [mutant for exercise in EXERCISES for mutant in mutants(exercise)]
ANY = next(mutant for mutant in EVERY if mutant.criterion == "1.1")


def test_every_criterion_has_three_wrong_submissions() -> None:
    counts = Counter(mutant.criterion for mutant in EVERY)
    assert {c.id: counts[c.id] for c in CRITERIA if counts[c.id] < 3} == {}


def test_each_has_a_name_of_its_own() -> None:
    assert max(Counter(map(str, EVERY)).values()) == 1


@pytest.mark.parametrize("exercise", EXERCISES)
def test_each_applies(exercise: int, tmp_path: Path) -> None:
    for mutant in mutants(exercise):
        mutant.write(copy_plain(tmp_path / str(mutant)))


@pytest.mark.parametrize("exercise", EXERCISES)
def test_layout_and_comments_of_the_plain_solution_do_not_matter(
    exercise: int, tmp_path: Path
) -> None:
    plain = copy_plain(tmp_path / "plain")
    for file in plain.rglob("*.py"):
        file.write_text("# other layout\n\n" + ast.unparse(ast.parse(file.read_text())))
    for mutant in mutants(exercise):
        mutant.write(Path(shutil.copytree(plain, tmp_path / str(mutant))))


def test_each_was_graded_as_it_is_now_and_caught_alone() -> None:
    changed = {str(mutant) for mutant in EVERY if matrix.has_changed(mutant)}
    assert changed == set(), "make matrix ONLY=changed"


def test_the_page_shows_the_stored_verdicts() -> None:
    assert matrix.PAGE.read_text() == matrix.page(), "make matrix ONLY=changed"


def test_a_verdict_counts_until_the_mutant_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "WRONG", tmp_path)
    other = next(mutant for mutant in mutants(1) if mutant.criterion == "1.6")
    matrix.keep_verdict(other, a_card({**other.expected(), "1.2": Status.FAIL}))
    matrix.keep_verdict(ANY, a_card(ANY.expected()))
    stored = matrix.verdicts(1)
    assert {name: verdict.caught for name, verdict in stored.items()} == {
        str(ANY): True,
        str(other): False,
    }
    assert not matrix.has_changed(ANY)
    assert matrix.has_changed(other), "it was not caught alone"
    assert matrix.has_changed(replace(ANY, limits={"call_timeout_s": 1}))


def a_card(statuses: dict[str, Status]) -> Scorecard:
    results = [Result(BY_ID[name], status, message="said") for name, status in statuses.items()]
    return replace(cards.card(), results=results)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ANY, edits=(*ANY.edits, Create(file="more.py", create="import more\n"))),
        replace(ANY, limits={"call_timeout_s": 1}),
        replace(ANY, criterion="2.1"),
    ],
    ids=["patch", "limits", "checks"],
)
def test_a_change_makes_a_verdict_old(changed: Mutant) -> None:
    assert digest_of(changed) != digest_of(ANY)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_sample_is_a_part_of_each_exercise(exercise: int) -> None:
    names = [{mark.name for mark in case.marks} for case in matrix.cases(exercise)]
    sampled = [marks for marks in names if "sample" in marks]
    assert all("matrix" in marks for marks in names)
    assert len(sampled) == len({mutant.criterion for mutant in mutants(exercise)}) < len(names)
