"""Drift, data quality and serving, every hour; each run alerts and writes the day's report."""

import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

WORKSPACE = Path(__file__).resolve().parents[2]
# The end of the run's interval; a manual run has none.
RUN_TIME = "{{ (dag_run.data_interval_end or dag_run.run_after).isoformat() }}"


def open_alert(context: Any) -> None:
    """Alert that a run failed, after its last retry; the next run that ends resolves it."""
    from exercise_06_monitoring.feature_monitoring import send_alert

    message = f"{context['run_id']} failed; see its log in Airflow"
    send_alert("monitoring", "run", message, severity="critical")


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
        "on_failure_callback": open_alert,
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
