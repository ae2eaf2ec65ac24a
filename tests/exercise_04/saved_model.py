"""Saves a model in the form that serves, for the service of the applied repository or another."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from exercise_04_serving.production.save_model import save_model
from lab.feature_store import ServiceDefinition, open_store, service_definition


def save_a_model_of(
    model: Any,
    inputs: list[str],
    rows: np.ndarray,
    folder: Path,
    *,
    threshold: float = 0.5,
    service: ServiceDefinition | None = None,
) -> None:
    """Save a fitted model of `inputs`; `rows` are its proof."""
    save_model(
        folder,
        model,
        service or service_definition(open_store(), "fraud_detection"),
        pd.DataFrame(rows, columns=inputs),
        threshold=threshold,
        never_missing=inputs,
        metrics={"rows": len(rows)},
        proof=rows,
    )
