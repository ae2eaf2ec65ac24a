"""Exercise 3: the incremental materialization, every hour."""


def materialize_task() -> None:
    """Materialize up to the end of this run's data interval."""
    # TODO 1: call incremental_materialization.
    # TODO 2: make it a task of a DAG: `from airflow.sdk import dag, task`, schedule="@hourly".
    raise NotImplementedError
