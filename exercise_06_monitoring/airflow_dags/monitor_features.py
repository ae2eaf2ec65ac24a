"""Drift every day, data quality and serving every hour; each run alerts and writes the report."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task

SETTINGS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    # The runs that were missed are told by the next one; an old day can be run again by hand.
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=30),
    },
    "tags": ["features", "monitoring"],
}


# In Airflow 3 a plain "@daily" gives a data interval of no length: its start is its end.
@dag(schedule=CronDataIntervalTimetable("@daily", timezone="UTC"), **SETTINGS)
def monitor_drift() -> None:
    """All features of the last week against those of a month ago."""

    @task
    def drift(data_interval_end: datetime | None = None) -> str:
        """The report's page. The end of the interval, never now(): a retry sees the same rows."""
        from exercise_06_monitoring import scheduled

        assert data_interval_end is not None  # Airflow fills it in
        return scheduled.drift(data_interval_end)

    drift()


@dag(schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"), **SETTINGS)
def monitor_quality() -> None:
    """The rows that arrived, Redis, and the serving API."""

    @task
    def quality(data_interval_end: datetime | None = None) -> str:
        """The report's page."""
        from exercise_06_monitoring import scheduled

        assert data_interval_end is not None  # Airflow fills it in
        return scheduled.quality(data_interval_end)

    quality()


monitor_drift()
monitor_quality()
