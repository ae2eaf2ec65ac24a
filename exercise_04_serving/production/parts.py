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
from exercise_04_serving.app.model import PredictionLog, load_model
from exercise_04_serving.production.fast_route import use_fast_routes
from exercise_04_serving.production.health import Probes
from exercise_04_serving.production.local_cache import LocalCache, NoCache
from exercise_04_serving.production.middleware import ApiKey, BodyLimit, LoadShedder
from exercise_04_serving.production.online_reader import CompiledReader
from exercise_04_serving.production.onnx_model import load_onnx_model
from exercise_04_serving.production.prediction_log import NotingReader, TracedLog
from exercise_04_serving.production.server import PARTS
from lab import feature_store
from lab.learn import open_store
from lab.settings import settings

REFUSALS = {
    "401": {"description": "The API key is missing or wrong"},
    "413": {"description": "The body is too large"},
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
    load = load_onnx_model if "onnx_model" in parts else load_model
    model = load(settings.model_dir, reader)
    return main.Serving(reader, open_cache(reader, parts), model, open_log(reader))


def open_log(reader: FeatureReader) -> PredictionLog | None:
    """Open the log of predictions; None without a file."""
    if settings.prediction_log is None:
        return None
    if isinstance(reader, NotingReader):
        return TracedLog(settings.prediction_log, settings.prediction_log_days, reader)
    return PredictionLog(settings.prediction_log)


def open_reader(parts: Collection[str]) -> FeatureReader:
    """Open the reader of the online store; the log's part has a compiled one, too."""
    limits = settings.online_read_timeout_s, settings.max_reads_at_once
    if "prediction_log" in parts and settings.prediction_log:
        return NotingReader(feature_store.open_store(), main.SERVICE, *limits)
    if "online_reader" in parts:
        return CompiledReader(feature_store.open_store(), main.SERVICE, *limits)
    return FeatureReader(open_store(), main.SERVICE)


def open_cache(reader: FeatureReader, parts: Collection[str]) -> FeatureCache:
    """Open the cache of features, by the settings."""
    project = open_store().project
    if settings.feature_cache == "off":
        return NoCache(project)
    names = reader.names if isinstance(reader, NotingReader) else reader.features
    if "local_cache" not in parts:
        return FeatureCache(project, names)
    return LocalCache(project, settings.cache_entries_in_process, settings.cache_poll_s, names)


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
