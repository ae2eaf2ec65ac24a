"""Exercise 6: the monitoring, every day. A `crontab` beside feature_monitoring.py does as well."""


def monitor_task() -> None:
    """Run the monitoring; a new report is there afterwards."""
    # TODO 1: with absolute paths: a scheduler starts in a folder of its own.
    # TODO 2: make it a task of a DAG: `from airflow.sdk import dag, task`, schedule="@daily".
    raise NotImplementedError
