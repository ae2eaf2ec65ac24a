"""The serving API: predict fraud from the features of the shared feature store.

python -m uvicorn app.main:app          # in this folder; then http://127.0.0.1:8000/docs
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from redis import RedisError

from exercise_04_serving.app.cache import FeatureCache, Features
from exercise_04_serving.app.features import FeatureReader, is_current
from exercise_04_serving.app.model import AMOUNT, Model, PredictionLog, load_model
from exercise_04_serving.app.schema import (
    RESPONSES,
    BatchPredictionRequest,
    BatchPredictionResponse,
    PredictionRequest,
    PredictionResponse,
    error_response,
)
from lab.learn import open_store, settings

SERVICE, VERSION, USER, MERCHANT = "fraud_detection", "1.0.0", "user_id", "merchant_id"
WARM_ENTITIES = 1_000  # users, and as many merchants

PREDICTIONS = Counter("predictions_total", "Predictions")
SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5, 1, 2.5)
LATENCY = Histogram("prediction_latency_seconds", "Request, with inference", buckets=SECONDS)
CACHE_HITS = Counter("feature_cache_hits", "Users and merchants found in the cache")
CACHE_MISSES = Counter("feature_cache_misses", "Users and merchants read from the online store")

REFUSALS = {400: "Body unreadable", 415: "Type or encoding unsupported", 503: "No Redis"}
router = APIRouter(responses={status: {"description": why} for status, why in REFUSALS.items()})
Payments = Sequence[PredictionRequest]


@dataclass(frozen=True)
class Serving:
    """The parts of the service, opened once for all requests."""

    reader: FeatureReader
    cache: FeatureCache
    model: Model
    log: PredictionLog | None = None


def open_serving() -> Serving:
    """Open the feature store, the cache and the model."""
    store = open_store()
    reader = FeatureReader(store, SERVICE)
    cache = FeatureCache(store.project, reader.features)
    log = PredictionLog(settings.prediction_log) if settings.prediction_log else None
    return Serving(reader, cache, load_model(settings.model_dir, reader), log)


async def get_features_cached(serving: Serving, payments: Payments) -> list[Features]:
    """Return the batch features of each payment, from the cache or from the online store."""
    version = await serving.cache.version()  # before the features are read: see cache.py
    keys = {(USER, payment.user_id) for payment in payments}
    keys |= {(MERCHANT, payment.merchant_id) for payment in payments}
    rows = await serving.cache.get_many(version, keys)
    not_cached = keys - rows.keys()
    CACHE_HITS.inc(len(rows))
    CACHE_MISSES.inc(len(not_cached))
    if not_cached:
        read = await serving.reader.read_batch(not_cached)
        await serving.cache.set_many(version, read)
        rows |= read
    return [rows[USER, p.user_id] | rows[MERCHANT, p.merchant_id] for p in payments]


async def get_features(serving: Serving, payments: Payments) -> list[Features]:
    """Return the model's inputs for each payment; streaming features are never cached."""
    batch, streaming = await asyncio.gather(
        get_features_cached(serving, payments),
        serving.reader.read_streaming([payment.user_id for payment in payments]),
    )
    rows = [
        {AMOUNT: payment.transaction_amount} | of_batch | recent
        for payment, of_batch, recent in zip(payments, batch, streaming, strict=True)
    ]
    return compute_on_demand_features(serving.reader, rows)


def compute_on_demand_features(reader: FeatureReader, rows: Sequence[Features]) -> list[Features]:
    """Add the features computed from each payment, by the functions in the registry."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for view in reader.on_demand_views:
        columns |= view.feature_transformation.udf(columns)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@router.post("/predict")
async def predict_fraud(payment: PredictionRequest, request: Request) -> PredictionResponse:
    """Predict whether one payment is fraud: a batch of one."""
    batch = BatchPredictionRequest.model_construct(transactions=[payment])
    return (await predict_fraud_batch(batch, request)).predictions[0]


@router.post("/predict/batch")
async def predict_fraud_batch(
    batch: BatchPredictionRequest, request: Request
) -> BatchPredictionResponse:
    """Predict for 1 to 100 payments, by at most one read of each view and one inference."""
    started = time.perf_counter()
    serving: Serving = request.app.state.serving
    payments, model = batch.transactions, serving.model
    rows = await get_features(serving, payments)
    matrix = np.array([[row[n] for n in model.metadata.features] for row in rows], np.float32)
    scores = model.score(matrix).tolist()  # null became NaN; about 1 ms, less than a thread costs
    seconds = time.perf_counter() - started
    PREDICTIONS.inc(len(payments))
    LATENCY.observe(seconds)
    RESPONSES.labels(request.url.path, "200").inc()
    if serving.log:
        request_id = request.headers.get("x-request-id")
        serving.log.write(request_id, model.metadata, zip(payments, rows, scores, strict=True))
    predictions = [
        PredictionResponse(
            user_id=payment.user_id,
            merchant_id=payment.merchant_id,
            is_fraud=probability >= model.metadata.threshold,
            fraud_probability=probability,
            features={name: row[name] for name in serving.reader.features},
            missing=serving.reader.missing(row),
            latency_ms=seconds * 1000,  # of the whole batch
        )
        for payment, probability, row in zip(payments, scores, rows, strict=True)
    ]
    return BatchPredictionResponse(predictions=predictions, total_latency_ms=seconds * 1000)


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health_check(request: Request, response: Response) -> dict[str, str]:
    """Read features; 503 without Redis, degraded once the streaming job has stopped."""
    reader: FeatureReader = request.app.state.serving.reader
    status, state, progress = "healthy", "up", None
    try:  # a read by Feast from Redis: one state for both
        await reader.read(reader.streaming_view, ["health"])
        progress = await reader.progress()
    except RedisError:
        status, state, response.status_code = "unhealthy", "down", 503
    streaming = "current" if is_current(progress) else "unknown"
    if progress is not None and streaming == "unknown":  # without exercise 5 it is healthy
        status = "degraded"
    parts = {"redis": state, "feast": state, "streaming": streaming}
    return {"status": status, **parts, "version": VERSION}


@router.head("/stats", include_in_schema=False)
@router.get("/stats")
async def stats(request: Request) -> dict[str, float]:
    """Return the counts since the start and the size of the cache."""
    names = ("feature_cache_hits_total", "feature_cache_misses_total", "predictions_total")
    registry = request.app.state.registry
    hits, misses, predictions = (registry.get_sample_value(name) or 0 for name in names)
    cache = request.app.state.serving.cache.entries
    return {
        "cache_hits": hits,
        "cache_misses": misses,
        "cache_hit_rate": hits / max(hits + misses, 1),
        "total_predictions": predictions,
        "redis_memory_mb": (await cache.info("memory"))["used_memory"] / 2**20,
        "redis_keys": await cache.dbsize(),
    }


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return all metrics in Prometheus's text format."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


async def warm_cache(serving: Serving) -> None:
    """Load the users and merchants with most payments; this counts neither hits nor misses."""
    payments = pd.read_parquet(settings.data_dir / "transactions.parquet", columns=[USER, MERCHANT])
    warm = {
        (name, one)
        for name in payments
        for one in payments[name].value_counts().index[:WARM_ENTITIES]
    }
    version = await serving.cache.version()
    await serving.cache.set_many(version, await serving.reader.read_batch(warm))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the parts and warm the cache; without data or Redis the cache starts cold."""
    app.state.serving = app.state.open_parts()
    try:
        await warm_cache(app.state.serving)
    except (RedisError, OSError) as error:
        print(f"The cache starts cold: {error}", flush=True)
    yield


def create_app(
    open_parts: Callable[[], Serving] = open_serving, registry: CollectorRegistry = REGISTRY
) -> FastAPI:
    """Return the application; its parts are opened when it starts, not when it is imported."""
    app = FastAPI(title="Fraud detection", version=VERSION, lifespan=lifespan, routes=router.routes)
    app.state.open_parts, app.state.registry = open_parts, registry
    for kind in (RedisError, RequestValidationError, 400, Exception):  # 400: a body that is no text
        app.add_exception_handler(kind, error_response)
    return app


app = create_app()
