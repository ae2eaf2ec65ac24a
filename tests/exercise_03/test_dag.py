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
from tests.exercise_03.shop_tables import Dump, read_table
from tests.settings_in_force import PointSettings, variables
from tests.shop import AS_OF, PROJECT, Shop

DAGS = settings.root / "exercise_03_materialize" / "airflow_dags"
AIRFLOW = Path(sys.executable).with_name("airflow")
HOUR = timedelta(hours=1)
INTERVAL_END = AS_OF.replace(minute=0) + 2 * HOUR
VIEW = "user_transaction_features"

BY_HAND = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r}, include_examples=False)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["materialize_features"]
run = dag.test(logical_date=None)
(task,) = dag.tasks
print(dag.timetable.expression, dag.catchup, dag.max_active_runs)
print(task.retries, task.retry_delay, task.execution_timeout)
print(run.state, run.logical_date, run.data_interval_end)
"""


@pytest.fixture
def airflow_environment(shop: Shop, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
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
    point_settings: PointSettings,
) -> None:
    """It runs at half past: its interval ended half an hour ago."""
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
    created = read_table(VIEW)["created_timestamp"]
    assert last_read(client) == created[created <= INTERVAL_END].max()

    client.flushall()
    point_settings(as_of=INTERVAL_END)
    initial_materialization()
    assert by_airflow == dump()


@pytest.mark.airflow
def test_a_run_by_hand_on_an_empty_redis_reads_what_there_is(
    airflow_environment: dict[str, str], client: redis.Redis
) -> None:
    """Airflow 3 gives it no logical date and no interval; its time is not that of the data."""
    run([str(AIRFLOW), "db", "migrate"], airflow_environment)
    environment = airflow_environment | variables(as_of=AS_OF - timedelta(days=1))
    script = [sys.executable, "-c", BY_HAND.format(folder=str(DAGS))]
    *_, schedule, retries, result = run(script, environment).splitlines()
    assert schedule == "@hourly False 1"
    assert retries == "3 0:02:00 0:30:00"
    assert result == "success None None"
    assert last_read(client) == read_table(VIEW)["created_timestamp"].max()
    assert validate_materialization()


def last_read(client: redis.Redis) -> datetime:
    (stored,) = client.hmget(f"materialized_until:{PROJECT}", [VIEW])
    return datetime.fromisoformat(stored.decode())


def arrivals_between(start: datetime, end: datetime) -> int:
    created = read_table(VIEW)["created_timestamp"]
    return int(((created > start) & (created <= end)).sum())
