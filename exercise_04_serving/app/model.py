"""A trained model and its metadata.

fraud_detector.pkl   the scikit-learn classifier. Loading a pickle runs code: load only models
                     that you trained
training.parquet     the rows of its training and test, for exercise 6
fraud_detector.json  its version, feature service and version, inputs in order, threshold
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from threadpoolctl import ThreadpoolController

from exercise_04_serving.app.features import FeatureReader
from lab.learn import UserError

PICKLE, METADATA = "fraud_detector.pkl", "fraud_detector.json"
AMOUNT = "transaction_amount"  # of the request; all other inputs are features of the service


class Metadata(BaseModel):
    """Service and order of the inputs, and the probability from which a payment is an alert."""

    version: str = ""  # the time of the training
    service: str
    service_version: str
    features: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Model:
    """A classifier with its metadata; any number of threads may share it."""

    classifier: Any
    metadata: Metadata
    threads: ThreadpoolController = field(default_factory=ThreadpoolController)

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of fraud, (n,), of rows (n, k) in the order of the features."""
        with self.threads.limit(limits=1):  # for one row, OpenMP's threads only wait for each other
            probabilities: NDArray[np.float64] = self.classifier.predict_proba(matrix)[:, 1]
        return probabilities


def save_model(folder: Path, model: Model) -> None:
    """Write the classifier and its metadata; a service that starts meanwhile loads whole files."""
    folder.mkdir(parents=True, exist_ok=True)
    temp_path = folder / f"{PICKLE}.tmp"
    joblib.dump(model.classifier, temp_path)
    temp_path.replace(folder / PICKLE)
    (folder / METADATA).write_text(model.metadata.model_dump_json(indent=2) + "\n")


def load_model(folder: Path, reader: FeatureReader) -> Model:
    """Load the model; UserError when there is none, or when it conflicts with the service."""
    metadata = read_metadata(folder, reader)
    return Model(joblib.load(folder / PICKLE), metadata)


def read_metadata(folder: Path, reader: FeatureReader) -> Metadata:
    """Return a model's metadata; UserError where its inputs are not those of the service."""
    if not (folder / METADATA).exists():
        raise UserError(f"there is no model in {folder}", "lab run 4")
    metadata = Metadata.model_validate_json((folder / METADATA).read_bytes())
    trained_on = f"{metadata.service} {metadata.service_version}"
    unknown = [name for name in metadata.features if name not in (*reader.features, AMOUNT)]
    if unknown or trained_on != f"{reader.name} {reader.version}":
        problem = f"the model was trained on {trained_on}, not on {reader.name} {reader.version}"
        unknown_inputs = f"unknown inputs: {', '.join(unknown) or 'none'}"
        raise UserError(f"{problem}; {unknown_inputs}", "lab run 2, then lab run 4")
    return metadata
