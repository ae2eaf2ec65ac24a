"""Drift, data quality and serving, every hour; each run alerts and writes the day's report."""

import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

WORKSPACE = Path(__file__).resolve().parents[2]
# The end of the run's interval; a manual run has none.
RUN_TIME = "{{ (dag_run.data_interval_end or dag_run.run_after).isoformat() }}"

with DAG(
    "monitor_features",
    schedule=CronDataIntervalTimetable("2 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a run checks the present: one of an earlier hour would repeat it
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["features", "monitoring"],
):
    BashOperator(
        task_id="monitor",
        bash_command=f"{shlex.quote(sys.executable)} -m exercise_06_monitoring.feature_monitoring",
        cwd=str(WORKSPACE),
        env={"LAB_AS_OF": RUN_TIME},
        append_env=True,
    )
