"""Requests, responses and errors of the API, in the brief's names; FastAPI shows them at /docs."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from pydantic import BaseModel, BeforeValidator, Field
from redis import RedisError
from starlette.exceptions import HTTPException

RESPONSES = Counter("http_responses", "Responses to predictions", ["route", "status"])
MAX_ID = 128  # characters
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


def require_iso_8601(value: object) -> object:
    """Refuse a number, as text too: it may count seconds or milliseconds."""
    if isinstance(value, int | float) or (value and "-" not in str(value)[1:]):
        raise ValueError("send a time in ISO 8601")
    return value


class PredictionRequest(BaseModel):
    """One payment. Its features are those of the present moment, whatever its timestamp."""

    user_id: Identifier
    merchant_id: Identifier
    transaction_amount: float = Field(gt=0, le=1e9, strict=True)
    timestamp: Annotated[datetime | None, BeforeValidator(require_iso_8601)] = None  # unused
    transaction_id: Identifier | None = None  # for the log of predictions


class PredictionResponse(BaseModel):
    """A prediction and its features; null is unknown (see `missing`) or the mean of no payment."""

    user_id: str
    merchant_id: str
    is_fraud: bool
    fraud_probability: float
    features: dict[str, float | None]
    missing: list[str]
    latency_ms: float


class BatchPredictionRequest(BaseModel):
    """Payments that share one read of each view and one inference."""

    transactions: list[PredictionRequest] = Field(min_length=1, max_length=100)


class BatchPredictionResponse(BaseModel):
    """One prediction for each transaction, in their order."""

    predictions: list[PredictionResponse]
    total_latency_ms: float


async def error_response(request: Request, error: Exception) -> Response:
    """Return 503 without Redis: a prediction from made-up features would look like any other.

    422 has the invalid fields without their values: NaN is not JSON. All else is a bug: 500.
    """
    detail: Any
    if isinstance(error, RedisError):
        status, detail = 503, f"Redis is unavailable ({type(error).__name__}); retry after 1 s"
    elif not isinstance(error, RequestValidationError | HTTPException):
        status, detail = 500, "internal error"
    elif request.headers.get("content-encoding", "identity") != "identity":
        status, detail = 415, "send a body without Content-Encoding"
    elif "upgrade" in request.headers:  # to HTTP/2, as Java's client does: uvicorn drops the body
        status, detail = 400, "send a body without Upgrade, by HTTP/1.1"
    elif "json" not in request.headers.get("content-type", "").lower():
        status, detail = 415, "Content-Type: send application/json"
    elif isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
    else:
        status, names = 422, ("loc", "msg", "type")
        detail = [{name: one[name] for name in names} for one in error.errors()]
    RESPONSES.labels(request.url.path, str(status)).inc()
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse({"detail": detail}, status, headers)
