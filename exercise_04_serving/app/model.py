"""A trained model and its metadata.

fraud_detector.pkl   the scikit-learn classifier. Loading a pickle runs code: load only models
                     that you trained
fraud_detector.json  feature service and version, inputs in order, types, threshold
"""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
TRAINING_INPUTS = "training_inputs.parquet"
AMOUNT = "transaction_amount"  # of the request; all other inputs are features of the service
BRIEFS_INPUTS = (
    *("transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"),
    *("chargeback_rate", "amount_vs_avg_ratio", "transaction_velocity", AMOUNT),
)
RETRAIN = "lab run 2, then lab run 4"
log = logging.getLogger("uvicorn.error")


class Metadata(BaseModel):
    """The inputs of a model in their order, and how to use its probabilities.

    The default values are those of a model without metadata: the brief's seven inputs, a threshold
    of 0.5, and 0 for missing values. `never_missing` names the inputs that always had a value in
    training, so that the model's answer to NaN was not learned.
    """

    service: str = ""
    service_version: str = ""
    features: tuple[str, ...] = BRIEFS_INPUTS
    types: dict[str, str] = {}
    threshold: float = 0.5
    accepts_nan: bool = False
    never_missing: tuple[str, ...] = BRIEFS_INPUTS
    metrics: dict[str, float] = {}
    trained_at: datetime = datetime.fromtimestamp(0, UTC)
    versions: dict[str, str] = {}
    sha256: dict[str, str] = {}


@dataclass(frozen=True)
class Model:
    """A classifier with its metadata; any number of threads may share it."""

    classifier: Any
    metadata: Metadata
    threads: ThreadpoolController = field(default_factory=ThreadpoolController)

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of fraud, (n,), of rows (n, k) in the order of the features."""
        rows = matrix if self.metadata.accepts_nan else np.nan_to_num(matrix)
        with self.threads.limit(limits=1):  # for one row, OpenMP's threads only wait for each other
            probabilities: NDArray[np.float64] = self.classifier.predict_proba(rows)[:, 1]
        return probabilities


def save_model(folder: Path, model: Model) -> None:
    """Write both files; each is renamed into place when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model.classifier, folder / f".{PICKLE}")
    (folder / f".{METADATA}").write_text(model.metadata.model_dump_json(indent=2) + "\n")
    for name in (PICKLE, METADATA):
        (folder / f".{name}").rename(folder / name)


def read_metadata(folder: Path, reader: FeatureReader) -> Metadata:
    """Return a model's metadata; UserError where its inputs are not those of the service."""
    file = folder / METADATA
    metadata = Metadata()
    if file.exists():
        metadata = Metadata.model_validate_json(file.read_bytes())
    else:
        log.warning("there is no %s: the model gets the default metadata", file)
    served = {**reader.types, AMOUNT: "Float64"}
    changed = [
        n for n in metadata.features if metadata.types.get(n, served.get(n)) != served.get(n)
    ]
    changed += [n for n in metadata.features if n not in served]
    trained_on, present = (
        (metadata.service, metadata.service_version),
        (reader.name, reader.version),
    )
    if changed or (file.exists() and trained_on != present):
        problem = f"the model was trained on {' '.join(trained_on)}, not on {' '.join(present)}"
        raise UserError(f"{problem}; changed inputs: {', '.join(changed) or 'none'}", RETRAIN)
    return metadata


def load_model(folder: Path, reader: FeatureReader) -> Model:
    """Load the model; UserError when there is none, or when it conflicts with the service."""
    if not (folder / PICKLE).exists():
        raise UserError(f"there is no model in {folder}", "lab run 4")
    return Model(joblib.load(folder / PICKLE), read_metadata(folder, reader))
