"""Saves a model for the service of the applied repository, for the solution and for production."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import get_tags

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import TRAINING_INPUTS, Metadata, Model, save_model
from exercise_04_serving.production.onnx_model import convert
from lab.learn import open_store


def save_a_model_of(
    classifier: Any, inputs: list[str], rows: np.ndarray, folder: Path, threshold: float = 0.5
) -> None:
    """Save a fitted classifier of `inputs`; both runtimes must agree on `rows`."""
    reader = FeatureReader(open_store(), "fraud_detection")
    metadata = Metadata(
        service=reader.name,
        service_version=reader.version,
        features=tuple(inputs),
        types=reader.types,
        threshold=threshold,
        accepts_nan=bool(get_tags(classifier).input_tags.allow_nan),
    )
    save_model(folder, Model(classifier, metadata))
    pd.DataFrame(rows, columns=inputs).to_parquet(folder / TRAINING_INPUTS)
    convert(folder)
