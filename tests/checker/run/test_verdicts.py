"""Other right solutions than the reference pass; any other submission gets a fair verdict.

`make run` grades the reference, test_solutions.py each of its exercises alone; the plain solution
passes in the mutants of it, but for their own criterion.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from checker.hidden.hidden_data import HiddenData
from checker.run.runner import Grader, criteria_of
from checker.sandbox.sandbox import Sandbox
from checker.settings import CheckerSettings
from checker.submission.intake import take_in
from checker.submission.submission import Submission
from checker.verdict.outcome import MachineTooBusyError, Outcome, Status
from checker.verdict.results import Scorecard
from lab.errors import UserError
from lab.learn import PLUGINS
from tests.checker.cards import not_passed
from tests.checker.conftest import Grade, GradeBy
from tests.checker.mutants import PLAIN, SUBMISSIONS, copy_reference, mutants, with_tables

NOTEBOOK, LIBRARIES = SUBMISSIONS / "right" / "notebook", SUBMISSIONS / "right" / "libraries"
SCRIPT = Path("exercise_02_training", "generate_training_data.py")
SERVER = Path("exercise_04_serving", "app", "main.py")
JOB = Path("exercise_05_streaming", "flink_streaming_features.py")
AN_HOUR_S = 3_600  # exercise 5 waits for five minutes to pass


def assert_all_pass(card: Scorecard, criteria: int = 35) -> None:
    assert card.count(Status.PASS) == criteria, not_passed(card)


def test_the_reference_passes_on_the_plugins(
    grade: Grade, hidden: HiddenData, tmp_path: Path
) -> None:
    copy_reference(tmp_path)
    with_tables(tmp_path, hidden.directory)
    file = tmp_path / "exercise_01_setup" / "feature_repo" / "feature_store.yaml"
    config, plugins = yaml.safe_load(file.read_text()), yaml.safe_load(PLUGINS.read_text())
    assert "feast_plugins" not in file.read_text()
    for section, part in plugins.items():
        config[section] = {**config.get(section, {}), **part}
    file.write_text(yaml.safe_dump(config))
    for exercise in (1, 2, 3):
        assert_all_pass(grade(tmp_path, exercise), criteria=6)


USUAL = """
from functools import partial

class Job:
    def incremental(self):
        client.set(f"run:{datetime.now().isoformat()}", "done", ex=86_400)
        store.materialize_incremental(end_date=datetime.now())

def backfill(end_date, start_date):
    store.materialize(start_date=start_date, end_date=end_date)

def write(days_back=7):
    now = datetime.now()
    client.set(f"run:{now.isoformat()}", "done", ex=86_400)
    store.materialize(start_date=now - timedelta(days=days_back), end_date=now)

initial_materialization = partial(write)
incremental_materialization = Job().incremental
backfill_features = partial(backfill)
"""


def test_an_expiring_run_log_duckdb_keys_that_live_a_day_and_bound_methods_pass(
    grade: Grade, plain: Path, tmp_path: Path
) -> None:
    script = plain / "exercise_03_online" / "materialize.py"
    script.write_text(script.read_text().partition("def ")[0] + USUAL)
    file = plain / "exercise_01_setup" / "feature_store.yaml"
    store = yaml.safe_load(file.read_text())
    store["online_store"]["connection_string"] = "localhost:${LAB_REDIS_PORT}"
    store["online_store"]["key_ttl_seconds"] = 86_400
    store["offline_store"]["type"] = "duckdb"
    file.write_text(yaml.safe_dump(store))
    taken = take_in(plain, tmp_path / "taken", CheckerSettings()).folder
    assert_all_pass(grade(taken, 3), criteria=6)


EXERCISE_5 = pytest.param(5, marks=[pytest.mark.kafka, pytest.mark.matrix])  # 5.6 takes minutes
COMPARED = {"3.2", "4.2", "4.3", "6.1"}  # criteria with figures that `lab compare` shows


@pytest.mark.parametrize("exercise", [1, 2, 3, 4, EXERCISE_5, 6])
@pytest.mark.timeout(AN_HOUR_S)
def test_a_notebook_with_pandas_and_a_server_of_its_own_passes(
    exercise: int, grade: Grade, tmp_path: Path
) -> None:
    card = grade(take_in(NOTEBOOK, tmp_path, CheckerSettings()).folder, exercise)
    assert_all_pass(card, criteria=len(criteria_of(exercise)))
    with_figures = {result.criterion.id for result in card.results if result.figures}
    assert COMPARED & set(criteria_of(exercise)) <= with_figures


@pytest.mark.parametrize("exercise", [4, EXERCISE_5, 6])
@pytest.mark.timeout(AN_HOUR_S)
def test_aiohttp_the_datastream_api_and_polars_pass(
    exercise: int, grade: Grade, plain: Path
) -> None:
    """Exercises 1 to 3 are those of the plain solution, which the graded mutants need as it is."""
    for replaced in LIBRARIES.glob("exercise_*"):
        shutil.rmtree(plain / replaced.name)
    shutil.copytree(LIBRARIES, plain, dirs_exist_ok=True)
    assert_all_pass(grade(plain, exercise), criteria=len(criteria_of(exercise)))


def test_an_empty_folder_is_not_attempted(grade: Grade, tmp_path: Path) -> None:
    card = grade(tmp_path)
    assert card.count(Status.NOT_ATTEMPTED) == 35, not_passed(card)


def test_a_missing_folder_is_the_users_mistake(grade: Grade, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        grade(tmp_path / "nowhere")


def test_a_broken_submission_toml_is_the_users_mistake(grade: Grade, tmp_path: Path) -> None:
    (tmp_path / "submission.toml").write_text("[data\n")
    with pytest.raises(UserError, match="not valid TOML"):
        grade(tmp_path)


def test_a_folder_without_the_expected_scripts_is_not_attempted(
    box: Sandbox, hidden: HiddenData, config: CheckerSettings, plain: Path
) -> None:
    for script in (SERVER, JOB):
        (plain / script).rename((plain / script).with_name("of_another_name.py"))
    card = Grader(box, hidden, config).grade(plain, ["4.1", "5.1"])
    assert card.count(Status.NOT_ATTEMPTED) == 2, card.status_of()


@pytest.mark.parametrize(
    ("trick", "limits", "text"),
    [
        ("import os; os._exit(0)", {}, "ended without an answer"),
        ("while True: pass", {"import_timeout_s": 2}, "no answer within 2 s"),
        ("def get_training_data(entity_df): return object()", {}, "returned a object"),
        (
            "def get_training_data(entity_df): return bytearray(3 * 2**30)",
            {"memory_limit_gib": 3},
            "MemoryError",
        ),
    ],
    ids=["exits", "hangs", "returns_an_object", "takes_all_memory"],
)
def test_a_script_that_misbehaves_fails(
    trick: str, limits: dict[str, Any], text: str, grade: Grade, plain: Path
) -> None:
    script = plain / SCRIPT
    script.write_text(f"{script.read_text()}\n{trick}\n")
    card = grade(plain, 2, **limits)
    first, *others = card.results
    assert first.status is Status.FAIL
    assert text in first.message
    assert {result.status for result in others} == {Status.SKIPPED}


def test_a_committed_registry_does_not_stand_for_a_failed_apply(
    grade: Grade, plain: Path, box: Sandbox
) -> None:
    grade(plain, 1)
    repo = "exercise_01_setup"
    made = box.directory / "submission" / repo / "data" / "registry.db"
    (plain / repo / "data").mkdir()
    shutil.copy(made, plain / repo / "data")
    next(m for m in mutants(1) if m.name == "import_error").write(plain)
    card = grade(plain, 1)
    assert card.status_of()["1.1"] is Status.FAIL
    assert card.count(Status.SKIPPED) == 5


def test_a_failure_that_was_measured_carries_their_last_lines(grade_by: GradeBy) -> None:
    def measured(submission: Submission) -> Outcome:
        submission.log.write_text("first\n" * 50 + "\x1b[31mlast\x1b[0m\n")
        return Outcome(False, "1 of 2", "2 of 2")

    (failed,) = grade_by({"5.1": measured}, PLAIN)
    assert (failed.status, failed.log_tail) == (Status.FAIL, "first\n" * 11 + "last")


def test_a_bug_of_ours_is_an_error_and_not_a_fail(grade_by: GradeBy, plain: Path) -> None:
    def broken(_: object) -> Outcome:
        raise ZeroDivisionError("ours")

    def too_busy(_: object) -> Outcome:
        raise MachineTooBusyError("machine too busy")

    checks = {"5.1": broken, "6.2": too_busy}
    bug, skipped, busy = grade_by(checks, plain, "5.1", "5.2", "6.2")
    statuses = [bug.status, skipped.status, busy.status]
    assert statuses == [Status.ERROR, Status.SKIPPED, Status.ERROR]
    assert "ZeroDivisionError" in bug.message
    assert busy.message == "machine too busy"
