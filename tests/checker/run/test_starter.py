"""Starter code, with all its gaps, is graded, and the grader reports them."""

import shutil
from pathlib import Path

import pytest

from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard
from lab.settings import ROOT
from tests.checker.cards import not_passed
from tests.checker.conftest import Grade

SUBMISSIONS = ROOT / "tests" / "submissions"


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SUBMISSIONS / "starter", tmp_path / "starter"))


@pytest.fixture
def applied(starter: Path) -> Path:
    """Return starter code with an exercise 1 that can be applied, so that others are checked."""
    shutil.rmtree(starter / "exercise_01_setup")
    shutil.copytree(SUBMISSIONS / "right" / "notebook" / "exercise-1", starter / "exercise-1")
    return starter


def result_of(card: Scorecard, criterion: str) -> Result:
    return next(result for result in card.results if result.criterion.id == criterion)


def assert_fails(card: Scorecard, criterion: str, text: str, hint: str) -> None:
    result = result_of(card, criterion)
    assert result.status is Status.FAIL, result
    assert text in f"{result.measured} {result.message} {result.log_tail}"
    assert hint in result.hint


@pytest.mark.kafka
def test_a_failure_names_what_is_wrong(starter: Path, grade: Grade) -> None:
    card = grade(starter)
    assert card.count(Status.FAIL) == 4, not_passed(card)
    assert card.count(Status.SKIPPED) == 31
    assert_fails(card, "1.1", "user_stats.parquet", "give each a value_type")
    assert_fails(card, "5.1", "cannot import name 'TimeCharacteristic'", "#an-import-that-is-gone")
    assert_fails(card, "6.1", "KS 57, PSI 52 of 57", "#psi-without-tails")
    assert_fails(card, "6.2", "it returned no results", "#quality-that-prints")


def test_entities_alone_are_no_views_to_list(starter: Path, grade: Grade) -> None:
    (starter / "exercise_01_setup" / "features.py").write_text(
        "from feast import Entity, ValueType\n"
        'user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)\n'
    )
    card = grade(starter, 1)
    passed = [result.criterion.id for result in card.results if result.status is Status.PASS]
    assert passed == ["1.1"]
    assert result_of(card, "1.6").required == "at least one view, and each of the registry"


def test_training_data_that_run_at_import(applied: Path, grade: Grade) -> None:
    card = grade(applied, 2)
    cut_off = "generate_training_data.py ended before export_training_data() was defined, with"
    assert_fails(card, "2.5", cut_off, "under `if __name__")
    assert_fails(card, "2.3", "the right table: generate_training", "#validation-that-prints")
    assert result_of(card, "2.4").status is Status.PASS, "what stands above is graded"


def test_a_script_that_reads_redis_by_get(applied: Path, grade: Grade) -> None:
    card = grade(applied, 3)
    assert_fails(card, "3.4", "ended before backfill_features() was defined", "#keys-and-get")
    assert result_of(card, "3.3").status is Status.PASS


def test_an_api_that_looks_for_a_folder_of_the_brief(applied: Path, grade: Grade) -> None:
    card = grade(applied, 4)
    assert_fails(card, "4.1", "'/opt/feature_repo/feature_store.yaml'", "#paths-and-ports")
    assert card.count(Status.SKIPPED) == 5
