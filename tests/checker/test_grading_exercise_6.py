"""Each wrong submission of exercise 6 fails what it gets wrong, and nothing else."""

from pathlib import Path

import pytest

from checker.verdict.outcome import Status
from tests.checker.cards import not_passed
from tests.checker.conftest import AssertFailsAlone, Grade
from tests.checker.matrix import cases
from tests.checker.mutants import Mutant

FOLDER = Path("exercise_06_monitoring")

DAG = """
from datetime import UTC, datetime

from airflow.sdk import dag, task


@dag(schedule={schedule}, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def monitor_features():
    @task.bash(retries=3, retry_delay=600)
    def monitor():
        return 'cd "$LAB_FEATURE_REPO" && python -m {module}'

    monitor()


monitor_features()
"""


@pytest.mark.parametrize("mutant", cases(6))
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: AssertFailsAlone
) -> None:
    assert_fails_alone(mutant)


def with_dag(plain: Path, schedule: str, module: str = "feature_monitoring") -> None:
    """Replace the crontab by a DAG."""
    (plain / FOLDER / "crontab").unlink()
    (plain / FOLDER / "airflow_dags").mkdir()
    dag = DAG.format(schedule=schedule, module=module)
    (plain / FOLDER / "airflow_dags" / "monitor.py").write_text(dag)


@pytest.mark.airflow
def test_a_dag_is_run_by_airflow(plain: Path, grade: Grade) -> None:
    with_dag(plain, schedule='"@daily"')
    card = grade(plain, 6, call_timeout_s=200)
    assert set(card.status_of().values()) == {Status.PASS}, not_passed(card)
    assert "airflow dags test monitor_features" in card.results[-1].measured


@pytest.mark.airflow
def test_a_task_that_fails_is_not_waited_for(plain: Path, grade: Grade) -> None:
    with_dag(plain, schedule='"@daily"', module="no_such_module")
    last = grade(plain, 6, call_timeout_s=200).results[-1]
    assert last.status is Status.FAIL
    assert last.message == "`airflow dags test monitor_features` ended with status 1"


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("schedule", "says"), [("None", "no schedule"), ('"61 * * * *"', "out of range")]
)
def test_a_dag_that_never_runs_is_no_schedule(
    schedule: str, says: str, plain: Path, grade: Grade
) -> None:
    with_dag(plain, schedule)
    last = grade(plain, 6).results[-1]
    assert last.status is Status.FAIL
    assert says in last.message


def test_a_crontab_may_name_its_own_folder(plain: Path, grade: Grade) -> None:
    """As a crontab in use does; the grader's copy lies elsewhere."""
    line = f"@daily cd {plain}/exercise_01_setup && python {plain / FOLDER}/feature_monitoring.py"
    (plain / FOLDER / "crontab").write_text(f"{line}\n")
    card = grade(plain, 6)
    assert card.status_of()["6.5"] is Status.PASS, not_passed(card)
