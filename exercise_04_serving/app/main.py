"""The serving API: judges payments by a model and the features of the shared feature store.

Run it with `python -m exercise_04_serving.serve`, or here with `uvicorn app.main:app`.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from prometheus_client import CONTENT_TYPE_LATEST

from exercise_04_serving.model_file import ModelFile
from feast_plugins.online_errors import OnlineReadError
from lab.settings import settings

from . import logs, telemetry
from .guards import ApiKey, Deadline, JsonBody, LoadShedder, RequestLog
from .health import VERSION, Checks
from .prediction import AMOUNT, Predictor, Verdicts
from .schema import (
    BatchPredictionRequest,
    BatchPredictionResponse,
    Health,
    InvalidRequest,
    PredictionRequest,
    PredictionResponse,
    Problem,
    State,
    Stats,
)
from .stored_features import open_features

RETRY_AFTER = {"Retry-After": "1"}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON in UTF-8"},
    401: {"model": Problem, "description": "X-API-Key is missing or wrong"},
    408: {"model": Problem, "description": "The body did not arrive in time"},
    413: {"model": Problem, "description": "The body is too large"},
    415: {"model": Problem, "description": "The body is not application/json"},
    422: {"model": InvalidRequest, "description": "A field is wrong"},
    503: {"model": Problem, "description": "Redis is away or slow, or too many are in flight"},
}

api = APIRouter()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the store, load the model, warm the cache; close all at the end."""
    logs.to_stdout()
    stored = open_features()
    model = ModelFile.load(settings.model_dir, served={*stored.names, AMOUNT})
    await stored.warm()
    app.state.predictor = Predictor(stored, model, settings.max_reads_at_once)
    app.state.checks = Checks.of(stored)
    current = asyncio.create_task(stored.keep_current())
    # What was made so far stays: the collector need not look through all of Feast again and again.
    gc.collect()
    gc.freeze()
    yield
    current.cancel()
    with suppress(asyncio.CancelledError):
        await current
    app.state.checks.close()
    stored.close()


@api.post("/predict", response_model=PredictionResponse, responses=REFUSALS, tags=["predictions"])
async def predict(payment: PredictionRequest, request: Request) -> Response:
    """Judge one payment."""
    started = perf_counter()
    verdicts = await request.app.state.predictor.predict([payment])
    total_s = perf_counter() - started
    telemetry.LATENCY.observe(total_s)
    (content,) = _responses([payment], verdicts, total_s * 1000)
    return _json(content, verdicts, total_s)


@api.post(
    "/predict/batch",
    response_model=BatchPredictionResponse,
    responses=REFUSALS,
    tags=["predictions"],
)
async def predict_batch(batch: BatchPredictionRequest, request: Request) -> Response:
    """Judge up to 100 payments by one read and one inference."""
    started = perf_counter()
    verdicts = await request.app.state.predictor.predict(batch.transactions)
    total_s = perf_counter() - started
    telemetry.LATENCY.observe(total_s)
    content = {
        "predictions": _responses(batch.transactions, verdicts, total_s * 1000),
        "total_latency_ms": total_s * 1000,
    }
    return _json(content, verdicts, total_s)


def _responses(
    payments: Sequence[PredictionRequest], verdicts: Verdicts, latency_ms: float
) -> list[dict[str, Any]]:
    return [
        {
            "user_id": payment.user_id,
            "merchant_id": payment.merchant_id,
            "is_fraud": probability >= verdicts.threshold,
            "fraud_probability": probability,
            "features": row.values,
            "missing": row.missing,
            "latency_ms": latency_ms,
        }
        for payment, probability, row in zip(
            payments, verdicts.probabilities, verdicts.features, strict=True
        )
    ]


def _json(content: dict[str, Any], verdicts: Verdicts, total_s: float) -> Response:
    """The answer as it is: to check our own numbers against the schema again costs a tenth."""
    parts = {"features": verdicts.reading_s, "model": verdicts.inference_s, "total": total_s}
    timing = ", ".join(f"{part};dur={seconds * 1000:.3f}" for part, seconds in parts.items())
    return Response(
        orjson.dumps(content), headers={"Server-Timing": timing}, media_type="application/json"
    )


@api.get("/health", responses={503: {"model": Health}}, tags=["operation"])
async def health(request: Request, response: Response) -> Health:
    """What works; 503 when it cannot predict."""
    found = await request.app.state.checks.health()
    response.status_code = 503 if found.status == "unhealthy" else 200
    return found


@api.get("/live", tags=["operation"])
async def live() -> State:
    """The process answers; if it does not, restart it."""
    return State(status="live")


@api.get("/ready", responses={503: {"model": State}}, tags=["operation"])
async def ready(request: Request, response: Response) -> State:
    """Send it requests; 503 while Redis is away."""
    if await request.app.state.checks.redis_answers():
        return State(status="ready")
    response.status_code = 503
    return State(status="not ready")


@api.get("/stats", tags=["operation"])
async def stats(request: Request) -> Stats:
    """Counts over all workers."""
    return await request.app.state.checks.stats()


@api.get("/metrics", response_class=Response, tags=["operation"])
async def metrics() -> Response:
    """The same and more, for Prometheus."""
    return Response(telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)


async def store_is_away(_: Request, error: Exception) -> Response:
    """Redis does not answer: come again, it is not your request."""
    body = orjson.dumps({"detail": str(error)})
    return Response(body, 503, RETRY_AFTER, "application/json")


async def invalid_request(_: Request, error: Exception) -> Response:
    """Name every wrong field; the values stay where they are, NaN for one is not JSON."""
    assert isinstance(error, RequestValidationError)
    detail = [
        {"loc": one["loc"], "msg": f"{_path(one['loc'])}: {one['msg']}", "type": one["type"]}
        for one in error.errors()
    ]
    return Response(orjson.dumps({"detail": detail}), 422, media_type="application/json")


def _path(location: Sequence[str | int]) -> str:
    """body.transactions[3].transaction_amount"""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".")


def create_app() -> FastAPI:
    """The application, by the settings."""
    key = settings.api_key
    app = FastAPI(
        title="Fraud detection",
        description="Judges payments by features from a Feast store.",
        version=VERSION,
        lifespan=lifespan,
        redoc_url=None,
        # It only tells the documentation of the header; a guard compares the key.
        dependencies=[Security(APIKeyHeader(name="X-API-Key", auto_error=False))] if key else [],
    )
    app.include_router(api)
    app.add_exception_handler(OnlineReadError, store_is_away)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_middleware(Deadline, timeout_s=settings.request_timeout_s)
    app.add_middleware(
        JsonBody, max_bytes=settings.max_body_bytes, timeout_s=settings.request_timeout_s
    )
    if key:
        app.add_middleware(ApiKey, key=key.get_secret_value())
    app.add_middleware(LoadShedder, limit=settings.max_in_flight)
    app.add_middleware(RequestLog)
    return app


app = create_app()
