"""The hourly DAG, run by Airflow itself on SQLite."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from small_shop import AS_OF, Dump

from lab.settings import settings

DAGS = settings.root / "exercise_03_materialize" / "airflow_dags"
AIRFLOW = Path(sys.executable).with_name("airflow")
INTERVAL_END = AS_OF.replace(minute=0)

PARSED = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r}, include_examples=False)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["materialize_features"]
print(dag.catchup, dag.max_active_runs, type(dag.timetable).__name__, len(dag.tasks))
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
    airflow_environment: dict[str, str], dump: Callable[[], Dump], client: redis.Redis
) -> None:
    run([str(AIRFLOW), "db", "migrate"], airflow_environment)
    parsed = run([sys.executable, "-c", PARSED.format(folder=str(DAGS))], airflow_environment)
    assert parsed.splitlines()[-1] == "False 1 CronDataIntervalTimetable 1"
    assert not dump()
    moment = INTERVAL_END.isoformat()
    run([str(AIRFLOW), "dags", "test", "materialize_features", moment], airflow_environment)
    assert dump()
    seen = client.hgetall("materialized_until:ml_platform_features")
    assert {value.decode() for value in seen.values()} == {moment}
