"""The application of the solution with production parts: each can be left out.

create_app({"online_reader", "onnx_model"})
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from exercise_04_serving.app import main
from exercise_04_serving.app.cache import FeatureCache
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import Model, load_model
from exercise_04_serving.app.prediction_log import open_log
from exercise_04_serving.production.fast_route import use_fast_routes
from exercise_04_serving.production.health import Probes
from exercise_04_serving.production.local_cache import LocalCache, NoCache
from exercise_04_serving.production.middleware import ApiKey, BodyLimit, LoadShedder
from exercise_04_serving.production.online_reader import CompiledReader
from exercise_04_serving.production.onnx_model import load_onnx_model
from exercise_04_serving.production.prediction_log import (
    NotingCache,
    NotingLocalCache,
    NotingReader,
    TracedLog,
)
from exercise_04_serving.production.server import PARTS
from lab import feature_store
from lab.learn import open_store
from lab.settings import settings

REFUSALS = {
    "401": {"description": "The API key is missing or wrong"},
    "413": {"description": "The body is too large"},
    "415": {"description": "The body is not JSON"},
    "503": {"description": "Redis is unavailable, or too many requests are in flight"},
}


def create_app(parts: Collection[str] = PARTS) -> FastAPI:
    """Return the solution's application with these parts."""
    app = main.create_app(lambda: open_serving(parts), metrics_registry())
    if "fast_route" in parts:
        use_fast_routes(app)
    if "middleware" in parts:
        add_limits(app)
    if "health" in parts:
        timeout_s = settings.online_read_timeout_s
        app.add_middleware(
            Probes, host=settings.host, port=settings.redis_port, timeout_s=timeout_s
        )
    app.router.lifespan_context = lifespan
    return app


def open_serving(parts: Collection[str]) -> main.Serving:
    """Open the parts of the service."""
    reader = open_reader(parts)
    cache, model = open_cache(reader, parts), open_model(reader, parts)
    if isinstance(reader, NotingReader) and settings.prediction_log:
        log = TracedLog(settings.prediction_log, settings.prediction_log_days, reader)
        return main.Serving(reader, cache, model, log)
    return main.Serving(reader, cache, model, open_log(settings.prediction_log))


def open_reader(parts: Collection[str]) -> FeatureReader:
    """Open the reader of the online store; the log's part has a compiled one, too."""
    limits = settings.online_read_timeout_s, settings.max_reads_at_once
    if "prediction_log" in parts and settings.prediction_log:
        return NotingReader(feature_store.open_store(), main.SERVICE, *limits)
    if "online_reader" in parts:
        return CompiledReader(feature_store.open_store(), main.SERVICE, *limits)
    return FeatureReader(open_store(), main.SERVICE)


def open_model(reader: FeatureReader, parts: Collection[str]) -> Model:
    """Load the model; UserError when there is none, or when it conflicts with the service."""
    load = load_onnx_model if "onnx_model" in parts else load_model
    return load(settings.model_dir, reader)


def open_cache(reader: FeatureReader, parts: Collection[str]) -> FeatureCache:
    """Open the cache of features, by the settings."""
    project = open_store().project
    if settings.feature_cache == "off":
        return NoCache(project)
    has_notes = isinstance(reader, NotingReader)
    names = reader.names if isinstance(reader, NotingReader) else reader.features
    if "local_cache" in parts:
        limits = settings.cache_entries_in_process, settings.cache_poll_s
        return (NotingLocalCache if has_notes else LocalCache)(project, *limits, names)
    return (NotingCache if has_notes else FeatureCache)(project, names)


def add_limits(app: FastAPI) -> None:
    """Add limits of body and requests in flight, and the API key where one is set."""
    app.add_middleware(
        BodyLimit, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s
    )
    if settings.api_key:
        app.add_middleware(ApiKey, key=settings.api_key.get_secret_value())
    app.add_middleware(LoadShedder, limit=settings.max_in_flight)
    for path in app.openapi()["paths"].values():
        for operation in path.values():
            operation["responses"] |= REFUSALS


def metrics_registry() -> CollectorRegistry:
    """Return the registry of all workers where server.py started several, else the process's."""
    # Not by the environment: an import of Feast sets the variable, which by then may be too late
    if values.ValueClass is values.MutexValue:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the solution's lifespan, then close the compiled reader."""
    async with main.lifespan(app):
        yield
    if isinstance(app.state.serving.reader, CompiledReader):
        app.state.serving.reader.close()
