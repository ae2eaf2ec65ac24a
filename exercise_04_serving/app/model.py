"""The model, its metadata, and the log of what it scored.

fraud_detector.pkl   the scikit-learn classifier. Loading a pickle runs code: load only models
                     that you trained
training.parquet     the rows of its training and test, for exercise 6
fraud_detector.json  its version, feature service and version, inputs in order, threshold
"""

import errno
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from threadpoolctl import threadpool_limits

from exercise_04_serving.app.cache import Features
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.schema import MAX_ID, PredictionRequest
from lab.learn import UserError, utc_now

PICKLE, METADATA = "fraud_detector.pkl", "fraud_detector.json"
AMOUNT = "transaction_amount"  # of the request; all other inputs are features of the service
IDS = {"transaction_id", "user_id", "merchant_id"}
ScoredRow = tuple[PredictionRequest, Features, float]
service_log = logging.getLogger("uvicorn.error")


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

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of fraud, (n,), of rows (n, k) in the order of the features."""
        return np.asarray(self.classifier.predict_proba(matrix)[:, 1])


def save_model(folder: Path, model: Model) -> None:
    """Write the classifier and its metadata; a service that starts meanwhile loads whole files."""
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model.classifier, folder / f"{PICKLE}.tmp")
    (folder / f"{METADATA}.tmp").write_text(model.metadata.model_dump_json(indent=2) + "\n")
    for name in (PICKLE, METADATA):
        (folder / f"{name}.tmp").replace(folder / name)


def load_model(folder: Path, reader: FeatureReader) -> Model:
    """Load the model; UserError when there is none, or when it conflicts with the service."""
    metadata = read_metadata(folder, reader)
    threadpool_limits(1)  # for one row, OpenMP's threads only wait for each other
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


class PredictionLog:
    """Appends a line of JSON for each scored row to a file, to train on later.

    The lines hold ids and payments of customers: only the service's user may read the file. Raises
    UserError when the file cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.append([])
        except OSError as error:
            problem = f"the log of predictions {file} cannot be written: {error.strerror}"
            raise UserError(problem, "unset LAB_PREDICTION_LOG") from error

    def write(self, request_id: str | None, model: Metadata, rows: Iterable[ScoredRow]) -> None:
        """Write payments with the model's raw inputs and their scores; a full disk fails none."""
        of_request = {
            "time": utc_now().isoformat(),
            "request_id": (request_id or uuid4().hex)[:MAX_ID],
            "service": f"{model.service} {model.service_version}",
            "model": model.version,
        }
        try:
            self.append(
                of_request | payment.model_dump(include=IDS) | {"inputs": inputs, "score": score}
                for payment, inputs, score in rows
            )
        except OSError as error:
            service_log.error("a prediction was not logged: %s", error)

    def append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Append whole lines, also when several processes share the file. Raises OSError."""
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        owner_only = partial(os.open, mode=0o600)
        with open(self.file, "a+b", buffering=0, opener=owner_only) as file:
            flock(file, LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            if content and end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                content = b"\n" + content  # a full disk or a crash has cut the last line
            if content and file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
