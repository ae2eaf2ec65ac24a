"""Requests, responses and errors of the API, in the brief's names; FastAPI shows them at /docs."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from pydantic import BaseModel, BeforeValidator, Field
from redis import RedisError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

RESPONSES = Counter("http_responses", "Responses to predictions", ["route", "status"])
Identifier = Annotated[str, Field(min_length=1, max_length=128)]


def require_text(value: object) -> object:
    """Refuse a number, which may count seconds or milliseconds."""
    if isinstance(value, int | float):
        raise ValueError("send a time in ISO 8601")
    return value


class PredictionRequest(BaseModel):
    """One payment. Its features are those of the present moment, whatever its timestamp."""

    user_id: Identifier
    merchant_id: Identifier
    transaction_amount: float = Field(gt=0, le=1e9, allow_inf_nan=False, strict=True)
    timestamp: Annotated[datetime | None, BeforeValidator(require_text)] = None
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


class PlainHttp:
    """Middleware that answers HEAD as GET, and a compressed body with 415."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if Headers(scope=scope).get("content-encoding", "identity") != "identity":
                refusal = JSONResponse({"detail": "send a body without Content-Encoding"}, 415)
                return await refusal(scope, receive, send)
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET"}  # the server itself omits the body
        await self._app(scope, receive, send)


async def error_response(request: Request, error: Exception) -> Response:
    """Return 503 without Redis: a prediction from made-up features would look like any other.

    422 has the invalid fields without their values: NaN is not JSON. All else is a bug: 500.
    """
    detail: Any
    status, detail, headers = 500, "internal error", {}
    if isinstance(error, RedisError):
        status, headers = 503, {"Retry-After": "1"}
        detail = f"Redis is unavailable ({type(error).__name__}); retry after 1 s"
    elif isinstance(error, RequestValidationError):
        status = 422
        detail = [{name: one[name] for name in ("loc", "msg", "type")} for one in error.errors()]
    RESPONSES.labels(request.url.path, str(status)).inc()
    return JSONResponse({"detail": detail}, status, headers)
