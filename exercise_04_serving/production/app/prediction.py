"""From payments to verdicts: one read and one inference for all that came together."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from exercise_04_serving.production.model_file import AMOUNT, ScoringModel
from feast_plugins.read_plan import Rows

from . import telemetry
from .row_features import ServedFeatures, served
from .schema import PredictionRequest
from .stored_features import StoredFeatures


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Each payment's probability and features, and the seconds that its parts took."""

    probabilities: list[float]
    threshold: float
    features: ServedFeatures
    reading_s: float
    inference_s: float


class Predictor:
    """A model and where its features come from.

    A read that waits for a thousand others to be packed and unpacked would count that as Redis's
    time, so only `reads_at_once` are under way; the others wait for their turn, `wait_s` at most.
    """

    def __init__(
        self, stored: StoredFeatures, model: ScoringModel, reads_at_once: int, wait_s: float
    ) -> None:
        self.stored, self.model, self._wait_s = stored, model, wait_s
        self._turn = asyncio.Semaphore(reads_at_once)

    async def predict(self, payments: Sequence[PredictionRequest]) -> Verdicts:
        """Judge payments; raises RedisUnavailable, RedisTimeout, TimeoutError for no turn."""
        started = perf_counter()
        amounts = [payment.transaction_amount for payment in payments]
        rows: Rows = {
            "user_id": [payment.user_id for payment in payments],
            "merchant_id": [payment.merchant_id for payment in payments],
            AMOUNT: amounts,
        }
        await self._take_turn()
        try:
            answer = await self.stored.read(rows)
        finally:
            self._turn.release()
        features = served(answer, len(payments))
        read = perf_counter()
        probabilities = self.model.score(self._inputs(features, amounts)).tolist()
        telemetry.PREDICTIONS.inc(len(payments))
        inference_s = perf_counter() - read
        telemetry.INFERENCE.observe(inference_s)
        threshold = self.model.threshold
        return Verdicts(probabilities, threshold, features, read - started, inference_s)

    async def _take_turn(self) -> None:
        if not self._turn.locked():  # and so it does not wait: a timer for nothing is dear
            await self._turn.acquire()
            return
        async with asyncio.timeout(self._wait_s):
            await self._turn.acquire()

    def _inputs(self, features: ServedFeatures, amounts: Sequence[float]) -> NDArray[np.float32]:
        """(n, k) float32, in the model's order."""
        columns = {**features.columns, AMOUNT: amounts}
        return np.array([columns[name] for name in self.model.features], dtype=np.float32).T
