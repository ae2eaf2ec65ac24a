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
from tests.checker.mutation.sample import SAMPLE, possible, sample
from tests.checker.mutation.score import grade, verdict_of
from tests.checker.mutation.verdicts import ERROR, KILLED, SURVIVED, equivalent

KILLED_EARLY = [
    *("1-00efc98b", "1-10d7c48c", "1-20a739a5", "1-28f03a6f", "1-3ae75cf6", "1-63f098e5"),
    *("1-7ca0aa12", "2-033d8dcc", "2-0b13e71c", "2-050ed050"),
]


@pytest.mark.parametrize("name", KILLED_EARLY)
def test_a_mutant_is_killed(
    name: str, box: Sandbox, hidden: HiddenData, config: CheckerSettings, tmp_path: Path
) -> None:
    (mutant,) = [mutant for mutant in sample(int(name[0])) if str(mutant) == name]
    verdict = grade(mutant, Grader(box, hidden, config), tmp_path / "reference", hidden.directory)
    assert verdict.outcome == KILLED


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_sample_is_of_sixty_programs_and_at_most_a_tenth_equivalent(exercise: int) -> None:
    names = set(map(str, sample(exercise)))
    reasons = {name for name in equivalent() if name.startswith(f"{exercise}-")}
    assert len(names) == len({(m.file, m.mutated()) for m in sample(exercise)}) == SAMPLE
    assert reasons <= names
    assert len(reasons) <= SAMPLE / 10


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
    (place,) = [place for place in places(before, "query.sql") if place.operator == operator]
    assert mutated(before, place) == after


def test_operators_of_sql_change_python_only_in_strings_of_sql() -> None:
    source = 'sum(x)\nquery = "SELECT sum(a) FROM b"\n'
    found = [p.line for p in places(source, "job_features.py") if p.operator.startswith("sql/")]
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


def test_the_page_shows_the_stored_verdicts() -> None:
    assert PAGE.read_text() == page(), "make mutation-score ONLY=page"
