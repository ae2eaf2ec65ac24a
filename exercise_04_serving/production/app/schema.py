"""What the API takes and gives, in the brief's names; the source of its OpenAPI page."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

MAX_BATCH = 100
MAX_ID = 128
MAX_AMOUNT = 1e9  # far above any payment, and its ratio to any mean is still a number

EXAMPLE: JsonDict = {"user_id": "user_1", "merchant_id": "merchant_1", "transaction_amount": 129.9}
NEW_CUSTOMER: JsonDict = {
    "user_id": "nobody",
    "merchant_id": "merchant_1",
    "transaction_amount": 20,
    "timestamp": "2026-06-01T12:00:00Z",
}


def _iso_timestamp(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError(
            "iso_timestamp", "Input should be a moment in ISO format"
        ) from None
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Timestamp = Annotated[
    str,
    Field(max_length=40, json_schema_extra={"format": "date-time"}),
    AfterValidator(_iso_timestamp),
]


class PredictionRequest(BaseModel):
    """A payment to judge."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [EXAMPLE, NEW_CUSTOMER]})

    user_id: Identifier = Field(description="Who pays")
    merchant_id: Identifier = Field(description="Who is paid")
    transaction_amount: float = Field(
        gt=0, le=MAX_AMOUNT, allow_inf_nan=False, description="How much"
    )
    timestamp: Timestamp | None = Field(
        None,
        description="When it was made, in ISO format, without a zone in UTC; "
        "features are those of the present moment",
    )


class BatchPredictionRequest(BaseModel):
    """Payments to judge together: one read and one inference."""

    model_config = ConfigDict(
        strict=True, json_schema_extra={"examples": [{"transactions": [EXAMPLE, NEW_CUSTOMER]}]}
    )

    transactions: list[PredictionRequest] = Field(min_length=1, max_length=MAX_BATCH)


class PredictionResponse(BaseModel):
    """The verdict on a payment, and what it was based on."""

    user_id: str
    merchant_id: str
    is_fraud: bool
    fraud_probability: float = Field(ge=0, le=1)
    features: dict[str, float | None] = Field(
        description="Stored and request-time features by name; null is unknown, or the mean of none"
    )
    missing: list[str] = Field(description="Features that are unknown")
    latency_ms: float = Field(description="In the service; of a batch's row, the whole batch's")


class BatchPredictionResponse(BaseModel):
    """A prediction for each transaction, in their order."""

    predictions: list[PredictionResponse]
    total_latency_ms: float


class Health(BaseModel):
    """What works; `status` is healthy, degraded (it predicts) or unhealthy (it cannot)."""

    status: str
    redis: str
    feast: str
    cache: str
    version: str


class Stats(BaseModel):
    """Counts since the service was started, over all its workers."""

    cache_hits: int
    cache_misses: int
    cache_hit_rate: float
    total_predictions: int
    redis_memory_mb: float | None = Field(description="None while Redis does not answer")
    redis_keys: int | None = Field(description="Of the cache; None while Redis does not answer")


class State(BaseModel):
    """Answer to an orchestrator's probe."""

    status: str


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


class InvalidField(BaseModel):
    """A field that is wrong; `msg` begins with its name."""

    loc: list[str | int]
    msg: str
    type: str


class InvalidRequest(BaseModel):
    """Every field that is wrong."""

    detail: list[InvalidField]
