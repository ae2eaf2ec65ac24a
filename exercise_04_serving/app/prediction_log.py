"""The log of what was served: one line of JSON for each scored row, to train on later.

It holds the ids and payments of customers: off by default, a file of its own, no line elsewhere.
"""

import json
import logging
import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import Request

from exercise_04_serving.app.cache import Features
from exercise_04_serving.app.model import Metadata
from exercise_04_serving.app.schema import PredictionRequest
from lab.learn import UserError, utc_now

IDS = {"transaction_id", "user_id", "merchant_id"}
service_log = logging.getLogger("uvicorn.error")


class PrivateFile(logging.FileHandler):
    """Appends to a file that only its user may read; a prediction does not fail with it."""

    def _open(self) -> Any:
        owner_only = partial(os.open, mode=0o600)
        return open(self.baseFilename, "a", encoding="utf-8", opener=owner_only)

    def handleError(self, record: logging.LogRecord) -> None:
        """Log the error alone: logging's own report prints the record, with the customer."""
        service_log.error("a prediction was not logged: %s", sys.exc_info()[1])


class PredictionLog:
    """Writes a line for each scored row."""

    def __init__(self, handler: logging.Handler) -> None:
        self._logger = logging.Logger("predictions")  # it has no parent that prints lines, too
        self._logger.addHandler(handler)

    def write(
        self,
        request: Request,
        model: Metadata,
        rows: Iterable[tuple[PredictionRequest, Features, float]],
    ) -> None:
        """Write payments with the model's raw inputs (null is unknown) and their scores."""
        of_request = {
            "time": utc_now().isoformat(),
            "request_id": request.headers.get("x-request-id") or uuid4().hex,
            "service": f"{model.service} {model.service_version}",
            "model": model.version,
        }
        for payment, inputs, score in rows:
            line = of_request | payment.model_dump(include=IDS) | self.describe(inputs)
            self._logger.info(json.dumps(line | {"score": score}))

    def describe(self, inputs: Features) -> dict[str, Any]:
        """Return what the line has of the inputs."""
        return {"inputs": inputs}


def open_log(file: Path | None) -> PredictionLog | None:
    """Open the log; None without a file. Raises UserError when it cannot be written."""
    try:
        return PredictionLog(PrivateFile(file)) if file else None
    except OSError as error:
        problem = f"the log of predictions {file} cannot be written: {error.strerror}"
        raise UserError(problem, "unset LAB_PREDICTION_LOG") from error
