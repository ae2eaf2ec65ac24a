"""The files of a trained model, and the model that serves from them.

    fraud_detector.onnx      the model that is served: data for ONNX Runtime, no code
    fraud_detector.pkl       the scikit-learn model, by joblib, to look into it
    fraud_detector.json      the manifest: feature service, inputs in order, threshold, checksums
    training_inputs.parquet  the training rows in that order: the reference of the monitoring

A pickle runs code when it is loaded, so the service never loads one. An ONNX file without a
manifest is served by documented defaults: the brief's seven inputs, a threshold of 0.5, and 0 for
missing values.
"""

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from lab.errors import UserError
from lab.feature_store import ServiceDefinition

NAME = "fraud_detector"
MANIFEST, ONNX, PICKLE = f"{NAME}.json", f"{NAME}.onnx", f"{NAME}.pkl"
RETRAIN = "lab run 4"
TRAINING_INPUTS = "training_inputs.parquet"
AMOUNT = "transaction_amount"  # of the request; all other inputs are features of the service
BRIEFS_INPUTS = (
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
    "amount_vs_avg_ratio",
    "transaction_velocity",
    AMOUNT,
)
BRIEFS_THRESHOLD = 0.5
log = logging.getLogger(__name__)


class ScoringModel:
    """Scores rows on one thread; any number of threads may share it.

    `features` are the inputs in their order, `threshold` is the probability from which a payment
    counts as fraud. NaN is a missing value, or 0 where the model does not accept NaN.
    """

    def __init__(self, onnx: bytes, threshold: float, *, accepts_nan: bool) -> None:
        options = onnxruntime.SessionOptions()
        # A row takes microseconds: handing it to another thread would take longer.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"])
        named = self._session.get_modelmeta().custom_metadata_map.get("features")
        (self._input,), (*_, output) = self._session.get_inputs(), self._session.get_outputs()
        if not output.type.startswith("tensor"):
            raise UserError("the ONNX model gives no array", 'convert it with {"zipmap": False}')
        is_of_brief = self._input.shape[-1] == len(BRIEFS_INPUTS)
        self.features: tuple[str, ...] = (
            tuple(named.split(",")) if named else BRIEFS_INPUTS if is_of_brief else ()
        )
        self.threshold, self.accepts_nan = threshold, accepts_nan

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of fraud, (n,) float32, of rows (n, k) float32 in the features' order."""
        inputs = rows if self.accepts_nan else np.nan_to_num(rows)
        *_, probabilities = self._session.run(None, {self._input.name: inputs})
        return np.asarray(probabilities)[:, 1]


class ModelFile(BaseModel):
    """The manifest: what is known of a model without loading it.

    `types` are those of the service's features; `never_missing` names the inputs without a missing
    value in training, for which the model's answer to one is a default, not learned.
    """

    model_config = ConfigDict(frozen=True)

    service: str
    service_version: str
    features: tuple[str, ...]
    types: dict[str, str]
    threshold: float
    accepts_nan: bool
    never_missing: tuple[str, ...]
    metrics: dict[str, float]
    trained_at: datetime
    versions: dict[str, str]
    sha256: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "ModelFile":
        """The manifest in `folder`; UserError when there is none, or it is not one."""
        file = folder / MANIFEST
        if not file.exists():
            raise UserError(f"there is no model in {folder}", RETRAIN)
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise UserError(f"{file} is not a model's manifest: {error}", RETRAIN) from error

    def require_agreement(self, service: ServiceDefinition) -> None:
        """Raise UserError where this model conflicts with a feature service."""
        mine, served = (self.service, self.service_version), (service.name, service.version)
        unknown = [n for n in self.features if n not in service.types and n != AMOUNT]
        changed = [n for n, kind in self.types.items() if service.types.get(n, kind) != kind]
        if unknown:
            problem = f"needs {', '.join(unknown)}, which {service.name} does not have"
        elif changed:
            problem = f"was trained when {', '.join(changed)} had another type"
        elif self.service and mine != served:
            problem = f"was trained on {' '.join(mine)}, and {' '.join(served)} is served"
        else:
            return
        raise UserError(f"the model {problem}", "lab run 2, then lab run 4")


DEFAULTS = ModelFile(
    service="",
    service_version="",
    features=BRIEFS_INPUTS,
    types={},
    threshold=BRIEFS_THRESHOLD,
    accepts_nan=False,
    never_missing=BRIEFS_INPUTS,
    metrics={},
    trained_at=datetime.fromtimestamp(0, UTC),
    versions={},
    sha256={},
)


def load_model(folder: Path, service: ServiceDefinition | None = None) -> ScoringModel:
    """Load the model in `folder`, which must agree with the feature service.

    Nothing but the manifest is parsed before the checksums are verified. Raises UserError when a
    file is missing or is not the one that was saved, and for a model that the service conflicts
    with.
    """
    if (folder / ONNX).exists() and not (folder / MANIFEST).exists():
        log.warning("%s has no manifest; its metadata are documented defaults", folder / ONNX)
        manifest, onnx = DEFAULTS, (folder / ONNX).read_bytes()
    else:
        manifest = ModelFile.read(folder)
        files = {n: _verified(folder / n, manifest.sha256.get(n)) for n in (ONNX, PICKLE)}
        onnx = files[ONNX]
    if service is not None:
        manifest.require_agreement(service)
    model = ScoringModel(onnx, manifest.threshold, accepts_nan=manifest.accepts_nan)
    if model.features != manifest.features:
        problem = f"{folder / MANIFEST} is missing, or names other inputs than its model"
        raise UserError(problem, RETRAIN)
    return model


def _verified(file: Path, sha256: str | None) -> bytes:
    """The file's content; UserError unless it has that checksum."""
    if not file.exists():
        raise UserError(f"{file} is missing beside its manifest", RETRAIN)
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{file} is not the file that was saved: its checksum differs", RETRAIN)
    return content
