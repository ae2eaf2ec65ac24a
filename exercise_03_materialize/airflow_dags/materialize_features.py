"""Every hour, what arrived in that hour goes to Redis."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task


@dag(
    # In Airflow 3 a plain "@hourly" gives a data interval of no length: its start is its end.
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    # A missed hour needs no run of its own: the next run takes all that arrived since the last.
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["features"],
)
def materialize_features() -> None:
    """Incremental materialization, as of the run's own time."""

    @task
    def materialize(dag_run: Any = None) -> float:
        """Return the seconds it took.

        The run's own time is the end of its interval, of a manual run `run_after`. It is never
        now(): a retry sees the same rows.
        """
        from exercise_03_materialize.materialize import incremental_materialization

        return incremental_materialization(dag_run.data_interval_end or dag_run.run_after)

    materialize()


materialize_features()
