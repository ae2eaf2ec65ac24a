"""The serving API: judges payments by a model and the features of the shared feature store.

Run it with `python -m exercise_04_serving.production.serve`, or here with `uvicorn app.main:app`.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from time import perf_counter
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response, Security
from fastapi.security import APIKeyHeader
from prometheus_client import CONTENT_TYPE_LATEST

from exercise_04_serving.production.model_file import load_model
from lab.feature_store import open_store, service_definition
from lab.settings import settings

from . import logs, telemetry
from .docs_page import add_docs_page
from .errors import REFUSALS, add_error_handlers
from .guards import ApiKey, JsonBody, LoadShedder, RequestLog
from .health import VERSION, Checks
from .json_route import JsonRoute
from .prediction import Predictor, Verdicts
from .schema import (
    BatchPredictionRequest,
    BatchPredictionResponse,
    Health,
    PredictionRequest,
    PredictionResponse,
    State,
    Stats,
)
from .stored_features import SERVICE, open_features

PREDICTION: list[str | Enum] = ["predictions"]
OPERATION: list[str | Enum] = ["operation"]
TICK_S = 0.5


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the store, load the model, warm the cache; close all at the end."""
    logs.to_stdout()
    stored = open_features()
    model = load_model(settings.model_dir, service_definition(open_store(), SERVICE))
    await stored.warm()
    app.state.predictor = Predictor(
        stored, model, settings.max_reads_at_once, settings.turn_timeout_s
    )
    app.state.checks = Checks.of(stored)
    beside = [asyncio.create_task(work) for work in (stored.keep_current(), tell_regularly())]
    # What was made so far stays: the collector need not look through all of Feast again and again.
    gc.collect()
    gc.freeze()
    yield
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    logs.request_lines.write()
    app.state.checks.close()
    stored.close()


async def tell_regularly() -> None:
    """Write what requests only note."""
    while True:
        logs.request_lines.write()
        telemetry.in_work.tell()
        await asyncio.sleep(TICK_S)


async def predict(payment: PredictionRequest, request: Request) -> Response:
    """Judge one payment."""
    started = perf_counter()
    verdicts = await request.app.state.predictor.predict([payment])
    total_s = perf_counter() - started
    telemetry.LATENCY.observe(total_s)
    (content,) = _responses([payment], verdicts, total_s * 1000)
    return _json(content, verdicts, total_s)


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
            "features": features,
            "missing": missing,
            "latency_ms": latency_ms,
        }
        for payment, probability, features, missing in zip(
            payments,
            verdicts.probabilities,
            verdicts.features.by_payment(),
            verdicts.features.missing,
            strict=True,
        )
    ]


def _json(content: dict[str, Any], verdicts: Verdicts, total_s: float) -> Response:
    """The answer as it is: to check our own numbers against the schema again costs a tenth."""
    timing = (
        f"features;dur={verdicts.reading_s * 1000:.3f}, "
        f"model;dur={verdicts.inference_s * 1000:.3f}, total;dur={total_s * 1000:.3f}"
    )
    return Response(
        orjson.dumps(content), headers={"Server-Timing": timing}, media_type="application/json"
    )


async def health(request: Request, response: Response) -> Health:
    """What works; 503 when it cannot predict."""
    found: Health
    found = await request.app.state.checks.health()
    response.status_code = 503 if found.status == "unhealthy" else 200
    return found


async def live() -> State:
    """The process answers; if it does not, restart it."""
    return State(status="live")


async def ready(request: Request, response: Response) -> State:
    """Send it requests; 503 while Redis is away."""
    if await request.app.state.checks.redis_answers():
        return State(status="ready")
    response.status_code = 503
    return State(status="not ready")


async def stats(request: Request) -> Stats:
    """Counts over all workers."""
    counts: Stats = await request.app.state.checks.stats()
    return counts


async def metrics() -> Response:
    """The same and more, for Prometheus."""
    return Response(telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)


def add_endpoints(app: FastAPI) -> None:
    """To the application itself: an included router is made anew for every request."""
    for path, endpoint, answer in (
        ("/predict", predict, PredictionResponse),
        ("/predict/batch", predict_batch, BatchPredictionResponse),
    ):
        app.router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            response_model=answer,
            responses=REFUSALS,
            tags=PREDICTION,
            route_class_override=JsonRoute,
        )
    app.get("/health", responses={503: {"model": Health}}, tags=OPERATION)(health)
    app.get("/live", tags=OPERATION)(live)
    app.get("/ready", responses={503: {"model": State}}, tags=OPERATION)(ready)
    app.get("/stats", tags=OPERATION)(stats)
    app.get("/metrics", response_class=Response, tags=OPERATION)(metrics)


def create_app() -> FastAPI:
    """The application, by the settings."""
    key = settings.api_key
    app = FastAPI(
        title="Fraud detection",
        description="Judges payments by features from a Feast store.",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # docs_page.py has one that works without a network
        redoc_url=None,
        # It only tells the documentation of the header; a guard compares the key.
        dependencies=[Security(APIKeyHeader(name="X-API-Key", auto_error=False))] if key else [],
    )
    add_endpoints(app)
    add_docs_page(app)
    add_error_handlers(app)
    app.add_middleware(
        JsonBody, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s
    )
    if key:
        app.add_middleware(ApiKey, key=key.get_secret_value())
    app.add_middleware(LoadShedder, limit=settings.max_in_flight)
    app.add_middleware(RequestLog)
    return app


app = create_app()
