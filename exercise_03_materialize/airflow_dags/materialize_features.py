"""Every hour, what arrived in that hour goes to Redis."""

from datetime import UTC, datetime, timedelta

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
    """Incremental materialization, as of the end of the data interval."""

    @task
    def materialize(data_interval_end: datetime | None = None) -> float:
        """Seconds taken. The end of the interval, never now(): a retry sees the same rows."""
        from exercise_03_materialize.materialize import incremental_materialization

        return incremental_materialization(as_of=data_interval_end)

    materialize()


materialize_features()
