"""The hourly DAG, run by Airflow itself on SQLite."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from exercise_03_materialize.materialize import initial_materialization, validate_materialization
from lab.dataset.advance import advance
from lab.settings import settings
from tests.exercise_03.small_shop import AS_OF, PROJECT, Dump, read_table

DAGS = settings.root / "exercise_03_materialize" / "airflow_dags"
AIRFLOW = Path(sys.executable).with_name("airflow")
HOUR = timedelta(hours=1)
INTERVAL_END = AS_OF.replace(minute=0) + 2 * HOUR
VIEW = "user_transaction_features"

PARSED = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r}, include_examples=False)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["materialize_features"]
(task,) = dag.tasks
print(dag.timetable.expression, dag.catchup, dag.max_active_runs)
print(task.retries, task.retry_delay, task.execution_timeout)
"""


@pytest.fixture
def airflow_environment(lab_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        **lab_environment,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


@pytest.mark.airflow
def test_an_hourly_run_materializes_what_arrived_by_the_end_of_its_interval(
    airflow_environment: dict[str, str],
    dump: Callable[[], Dump],
    client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs at half past: the hour that counts ended half an hour ago."""
    initial_materialization()
    advance(settings.data_dir, by=2 * HOUR)
    run([str(AIRFLOW), "db", "migrate"], airflow_environment)
    moment = (INTERVAL_END + HOUR / 2).isoformat()
    run([str(AIRFLOW), "dags", "test", "materialize_features", moment], airflow_environment)

    with sqlite3.connect(tmp_path / "airflow" / "airflow.db") as database:
        columns = "SELECT state, data_interval_start, data_interval_end FROM dag_run"
        ((state, start, end),) = database.execute(columns)
    assert state == "success"
    assert datetime.fromisoformat(end).replace(tzinfo=UTC) == INTERVAL_END
    assert datetime.fromisoformat(start).replace(tzinfo=UTC) == INTERVAL_END - HOUR
    by_airflow = dump()
    assert arrivals_between(AS_OF, INTERVAL_END)
    assert arrivals_between(INTERVAL_END, AS_OF + 2 * HOUR)
    assert validate_materialization()
    seen = client.hgetall(f"materialized_until:{PROJECT}")
    assert {value.decode() for value in seen.values()} == {INTERVAL_END.isoformat()}

    client.flushall()
    monkeypatch.setitem(vars(settings), "as_of", INTERVAL_END)
    initial_materialization()
    assert by_airflow == dump()


def arrivals_between(start: datetime, end: datetime) -> int:
    created = read_table(VIEW)["created_timestamp"]
    return int(((created > start) & (created <= end)).sum())


@pytest.mark.airflow
def test_the_dag_as_airflow_reads_it(airflow_environment: dict[str, str]) -> None:
    parsed = run([sys.executable, "-c", PARSED.format(folder=str(DAGS))], airflow_environment)
    assert parsed.splitlines()[-2:] == ["@hourly False 1", "3 0:02:00 0:30:00"]
