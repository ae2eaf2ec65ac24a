"""Our own questions to a submission, asked inside its sandbox through Feast, or Airflow."""

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


def dags(folder: str) -> list[dict[str, str]]:
    """When Airflow would run each DAG of a folder; a file that it cannot read has an error."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder, include_examples=False)
    broken = [
        {"id": Path(file).stem, "when": Path(file).name, "timetable": "", "error": str(error)}
        for file, error in bag.import_errors.items()
    ]
    read = [
        {
            "id": dag.dag_id,
            "when": str(getattr(dag.schedule, "expression", dag.schedule)),
            "timetable": type(dag.timetable).__name__,
            "error": "",
        }
        for dag in bag.dags.values()
    ]
    return sorted(read + broken, key=lambda dag: dag["id"])


@cache
def _store() -> Any:
    from feast import FeatureStore

    return FeatureStore(repo_path=".")
