"""The schedule, run for real: by Airflow on SQLite, and as cron would, from the root folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from croniter import croniter

from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from tests.exercise_06.web_hook import WebHook, web_hook
from tests.settings_in_force import variables
from tests.shop import AS_OF

EXERCISE = settings.root / "exercise_06_monitoring"
DAGS = EXERCISE / "airflow_dags"
AIRFLOW = Path(sys.executable).with_name("airflow")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CRON_LINE = re.compile(r"^((?:[\d*]+ ){5})(.+)$")
PARSED = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r}, include_examples=False)
assert not bag.import_errors, bag.import_errors
for name in sorted(bag.dags):
    dag = bag.dags[name]
    (task,) = dag.tasks
    print(name, dag.timetable.expression, dag.catchup, dag.max_active_runs, task.retries)
"""


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as receiver:
        yield receiver


@pytest.fixture
def environment(shop: Path, shop_redis: RedisServer, hook: WebHook) -> dict[str, str]:
    """As small as cron's, and where the shop and the receiver are."""
    shop_redis.client().flushall()
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SLACK_WEBHOOK_URL": hook.url,
        **variables(
            data_dir=settings.data_dir,
            as_of=AS_OF,
            build_dir=settings.build_dir,
            redis_port=settings.redis_port,
            api_port=free_port(),
        ),
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def report() -> str:
    """The page of the day."""
    return (settings.data_dir / "monitoring" / f"report_{AS_OF:%Y-%m-%d}.html").read_text()


def amounts_times_a_hundred_since(moment: datetime) -> None:
    """What happens when dollars become cents."""
    file = settings.data_dir / "user_stats.parquet"
    mean = pl.col("avg_transaction_amount")
    is_new = pl.col("event_timestamp") >= moment
    rows = pl.read_parquet(file)
    rows.with_columns(pl.when(is_new).then(mean * 100).otherwise(mean)).write_parquet(file)


@pytest.fixture
def airflow(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return environment | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }


@pytest.mark.airflow
def test_the_dag_checks_alerts_and_reports(airflow: dict[str, str], hook: WebHook) -> None:
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    run([str(AIRFLOW), "db", "migrate"], airflow)
    run([str(AIRFLOW), "dags", "test", "monitor_features"], airflow)
    assert any("avg_transaction_amount" in text for text in hook.texts)
    assert "avg_transaction_amount" in report()


@pytest.mark.airflow
def test_the_dag_as_airflow_reads_it(airflow: dict[str, str]) -> None:
    parsed = run([sys.executable, "-c", PARSED.format(folder=str(DAGS))], airflow)
    assert parsed.splitlines()[-1] == "monitor_features 2 * * * * False 1 2"


def test_the_line_of_the_crontab_works_from_any_folder(
    environment: dict[str, str], hook: WebHook
) -> None:
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    lines = (EXERCISE / "crontab").read_text().splitlines()
    ((when, command),) = [found.groups() for line in lines if (found := CRON_LINE.match(line))]
    times = croniter(when, AS_OF)
    assert times.get_next() + HOUR.total_seconds() == times.get_next()
    command = command.replace(".venv/bin/python", sys.executable)
    run(["/bin/sh", "-c", command], environment | {"LAB": str(settings.root)})
    assert any("avg_transaction_amount" in text for text in hook.texts)
    assert "avg_transaction_amount" in report()


SOLUTION = ["exercise_06_monitoring.feature_monitoring"]
PARTS = ["large_tables", "metrics_exposition"]


@pytest.mark.parametrize(
    "script", [SOLUTION, ["exercise_06_monitoring.production", *PARTS]], ids=len
)
def test_a_drift_is_sent_once_and_so_is_its_end(
    environment: dict[str, str], hook: WebHook, shop: Path, script: list[str]
) -> None:
    command = [sys.executable, "-m", *script]
    environment |= {"PYTHONPATH": str(settings.root)}
    healthy = (shop / "user_stats.parquet").read_bytes()
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    run(command, environment)
    about = [text for text in hook.texts if "drift: avg_transaction_amount" in text]
    assert len(about) == 1
    run(command, environment)
    assert hook.texts.count(about[0]) == 1
    (shop / "user_stats.parquet").write_bytes(healthy)
    run(command, environment)
    assert any("[RESOLVED] drift: avg_transaction_amount" in text for text in hook.texts)
