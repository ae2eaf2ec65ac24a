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


OF_AIRFLOW_2 = """
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator

COMMAND = 'cd "$LAB_FEATURE_REPO" && python -m feature_monitoring'
with DAG("monitor_features", schedule_interval="0 6 * * *", start_date=datetime(2026, 1, 1)) as dag:
    BashOperator(task_id="monitor", bash_command=COMMAND)
"""

DIGEST_AND_MAIL = """

def main():
    report = generate_drift_report(FEATURES)
    report.to_json(DATA / "report.json")
    if "SLACK_WEBHOOK_URL" not in os.environ:
        return
    hook = os.environ["SLACK_WEBHOOK_URL"]
    post(hook, report.to_string())
    for row in report[report["has_drift"]].itertuples():
        text = f"drift in {row.feature}"
        body = json.dumps({"blocks": [{"type": "section", "text": text}]}).encode()
        try:
            urllib.request.urlopen(hook, body).close()
        except urllib.error.HTTPError:
            mail(os.environ["SMTP_HOST"], os.environ["ALERT_EMAIL_TO"], text)


if __name__ == "__main__":
    main()
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
def test_a_digest_a_mail_and_a_dag_of_airflow_2_are_right(plain: Path, grade: Grade) -> None:
    """Slack gets a digest of all features and blocks; a refused alert goes out by mail."""
    with_dag(plain, schedule="")
    (plain / FOLDER / "airflow_dags" / "monitor.py").write_text(OF_AIRFLOW_2)
    script = plain / FOLDER / "feature_monitoring.py"
    code, _ = script.read_text().split("\n\ndef main():")
    script.write_text(code + DIGEST_AND_MAIL)
    card = grade(plain, 6, call_timeout_s=200)
    assert set(card.status_of().values()) == {Status.PASS}, not_passed(card)


@pytest.mark.airflow
def test_a_task_that_fails_is_not_waited_for(plain: Path, grade: Grade) -> None:
    with_dag(plain, schedule='"@daily"', module="no_such_module")
    last = grade(plain, 6, call_timeout_s=200).results[-1]
    assert last.status is Status.FAIL
    assert last.message == "`airflow dags test monitor_features` ended with status 1"


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("schedule", "text"),
    [("None", "never runs"), ('"61 * * * *"', "out of range"), ('"0 6 31 2 *"', "never runs")],
)
def test_a_dag_that_never_runs_is_no_schedule(
    schedule: str, text: str, plain: Path, grade: Grade
) -> None:
    with_dag(plain, schedule)
    last = grade(plain, 6).results[-1]
    assert last.status is Status.FAIL
    assert text in last.message


def test_a_crontab_may_name_its_own_folder(plain: Path, grade: Grade) -> None:
    """As a crontab in use does; the grader's copy lies elsewhere."""
    line = f"@daily cd {plain}/exercise_01_setup && python {plain / FOLDER}/feature_monitoring.py"
    (plain / FOLDER / "crontab").write_text(f"{line}\n")
    card = grade(plain, 6)
    assert card.status_of()["6.5"] is Status.PASS, not_passed(card)
    assert "the present of the report (not scored): the clock" in card.results[-1].notes


NEWEST = 'table["event_timestamp"].max()'
IS_OLD = f"{NEWEST} < datetime.now(UTC) - timedelta(days=7)"


@pytest.mark.parametrize(
    ("now", "note"),
    [
        (NEWEST, "the newest row's, so a stopped pipeline looks healthy"),
        (f"[datetime.now(UTC)][int({IS_OLD})]", "unknown; without rows of ten days, "),
    ],
)
def test_a_job_whose_present_is_not_the_clock_gets_a_note(
    now: str, note: str, plain: Path, grade: Grade
) -> None:
    script = plain / FOLDER / "feature_monitoring.py"
    code = script.read_text().replace("age = datetime.now(UTC)", f"age = {now}")
    script.write_text(code)
    card = grade(plain, 6)
    assert card.status_of()["6.5"] is Status.PASS, not_passed(card)
    assert note in "\n".join(card.results[-1].notes)
