"""The sample is fixed, and ten of its mutants are killed in each run of the tests."""

from pathlib import Path

import pytest

from checker.hidden.hidden_data import HiddenData
from checker.run.runner import Grader
from checker.sandbox.sandbox import Sandbox
from checker.settings import CheckerSettings
from checker.verdict.brief import BY_ID, EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Result
from tests.checker.mutation.operators import OURS, mutated, places
from tests.checker.mutation.page import PAGE, page
from tests.checker.mutation.sample import SAMPLE, ReferenceMutant, possible, sample
from tests.checker.mutation.score import grade, verdict_of
from tests.checker.mutation.verdicts import ERROR, KILLED, SURVIVED, equivalent, verdicts

FAST = {1: 6, 2: 4}


def fast_ones() -> list[ReferenceMutant]:
    """Return mutants that are killed early: by the first criterion, as far as there are enough."""
    known = verdicts()
    killed = [
        m for e in FAST for m in sample(e) if str(m) in known and known[str(m)].outcome == KILLED
    ]
    early = sorted(killed, key=lambda mutant: (known[str(mutant)].by, mutant.key))
    return [m for e, count in FAST.items() for m in [m for m in early if m.exercise == e][:count]]


@pytest.mark.parametrize("mutant", fast_ones(), ids=str)
def test_a_mutant_is_killed_by_the_same_criterion(
    mutant: ReferenceMutant,
    box: Sandbox,
    hidden: HiddenData,
    config: CheckerSettings,
    tmp_path: Path,
) -> None:
    verdict = grade(mutant, Grader(box, hidden, config), tmp_path / "reference", hidden.directory)
    assert (verdict.outcome, verdict.by) == (KILLED, verdicts()[str(mutant)].by)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_sample_is_of_mutants_that_differ(exercise: int) -> None:
    found = sample(exercise)
    assert len({str(mutant) for mutant in found}) == len(found) <= SAMPLE
    assert len({(mutant.file, mutant.mutated()) for mutant in found}) == len(found)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_at_most_a_tenth_is_equivalent(exercise: int) -> None:
    names = set(map(str, sample(exercise)))
    found = [name for name in equivalent() if name.startswith(f"{exercise}-")]
    assert set(found) <= names, "a reason for a mutant that is not in the sample"
    assert len(found) <= len(names) / 10


def test_each_operator_of_ours_is_of_use() -> None:
    used = {mutant.place.operator for exercise in EXERCISES for mutant in possible(exercise)}
    assert set(OURS) <= used


@pytest.mark.parametrize(
    ("operator", "before", "after"),
    [
        ("sql/window", "a > t - INTERVAL 30 DAY", "a > t - INTERVAL '1' DAY"),
        ("sql/boundary_open", "a <= t", "a < t"),
        ("sql/boundary_closed", "a < t", "a <= t"),
        ("sql/aggregate_sum", "SUM(cents)", "max(cents)"),
        ("sql/join_key", "JOIN b USING (user_id)", "JOIN b ON true"),
        ("sql/filter", "count(*) FILTER (WHERE a)", "count(*)"),
    ],
)
def test_an_operator_of_ours_changes_sql(operator: str, before: str, after: str) -> None:
    (place,) = [p for p in places(before, "query.sql") if p.operator == operator]
    assert mutated(before, place) == after


def test_only_sql_in_strings_is_changed_by_its_operators() -> None:
    source = 'sum(x)\nquery = "SELECT sum(a) FROM b"\n'
    found = [p.line for p in places(source, "job.py") if p.operator == "sql/aggregate_sum"]
    assert found == [2]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (None, SURVIVED),
        (Status.FAIL, KILLED),
        (Status.NOT_ATTEMPTED, KILLED),
        (Status.ERROR, ERROR),
        (Status.SKIPPED, ERROR),
    ],
)
def test_trouble_of_ours_kills_nothing(status: Status | None, outcome: str) -> None:
    decided = [Result(BY_ID["2.1"], status)] if status else []
    assert verdict_of(decided, "").outcome == outcome


def test_the_page_shows_the_verdicts_that_are_kept() -> None:
    assert PAGE.read_text() == page(), "make mutation-score ONLY=page"
