"""Our own queries to a submission, run inside its sandbox through Feast or Airflow."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd


def write_online(view: str, rows: pd.DataFrame) -> None:
    """Write rows to the online store by Feast."""
    _store().write_to_online_store(feature_view_name=view, df=rows)


def read_online(features: list[str], entity: dict[str, Any]) -> dict[str, Any]:
    """Read an entity's features by Feast; its store is made for the first of them."""
    response = _store().get_online_features(features=features, entity_rows=[entity]).to_dict()
    return {name: values[0] for name, values in response.items()}


def dags(folder: str, count: int) -> list[dict[str, Any]]:
    """Return each DAG of a folder with its next runs; a file that is unreadable has an error."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder, include_examples=False)
    broken = [
        {"id": Path(file).stem, "when": Path(file).name, "runs": [], "error": str(error)}
        for file, error in bag.import_errors.items()
    ]
    read = [
        {
            "id": dag.dag_id,
            "when": str(getattr(dag.schedule, "expression", dag.schedule)),
            "runs": _next_runs(dag, count),
            "error": "",
        }
        for dag in bag.dags.values()
    ]
    return sorted(read + broken, key=lambda dag: dag["id"])


def _next_runs(dag: Any, count: int) -> list[str]:
    """Return the next runs of a DAG; `@once` has one, which may be past."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction
    from croniter import CroniterBadDateError

    timetable, interval = coerce_to_core_timetable(dag.timetable), None
    limits = TimeRestriction(dag.start_date, dag.end_date, catchup=False)
    runs: list[str] = []
    with suppress(CroniterBadDateError):  # no such day
        while len(runs) < count:
            info = timetable.next_dagrun_info(
                last_automated_data_interval=interval, restriction=limits
            )
            if info is None:
                break
            runs.append(info.run_after.isoformat())
            interval = info.data_interval
    return runs


@cache
def _store() -> Any:
    from feast import FeatureStore

    return FeatureStore(repo_path=".")
