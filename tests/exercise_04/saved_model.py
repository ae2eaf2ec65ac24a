"""Save a model for the service of the applied repository, for the solution and for production."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import Metadata, Model, save_model
from exercise_04_serving.production.onnx_model import convert
from lab.learn import open_store


def linear_model(rows: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Fit a model that every input moves; a missing one counts as 0."""
    missing = SimpleImputer(strategy="constant", fill_value=0)
    return make_pipeline(missing, LogisticRegression(max_iter=1_000)).fit(rows, labels)


def save_a_model_of(
    classifier: Any, inputs: list[str], rows: np.ndarray, folder: Path, threshold: float = 0.5
) -> None:
    """Save a fitted classifier of `inputs`; it accepts NaN; both runtimes must agree on `rows`."""
    reader = FeatureReader(open_store(), "fraud_detection")
    metadata = Metadata(
        version="2026-06-01T09:30:00+00:00",
        service=reader.name,
        service_version=reader.version,
        features=tuple(inputs),
        threshold=threshold,
    )
    save_model(folder, Model(classifier, metadata))
    convert(folder, rows)
