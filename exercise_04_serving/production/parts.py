"""The application of the solution with production parts: each can be left out.

create_app({"online_reader", "onnx_model"})
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from exercise_04_serving.app import main
from exercise_04_serving.app.cache import FeatureCache
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import Model, load_model
from exercise_04_serving.production.fast_route import use_fast_routes
from exercise_04_serving.production.health import Probes
from exercise_04_serving.production.local_cache import LocalCache, NoCache
from exercise_04_serving.production.middleware import ApiKey, BodyLimit, LoadShedder
from exercise_04_serving.production.online_reader import CompiledReader
from exercise_04_serving.production.onnx_model import load_onnx_model
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
    return main.Serving(reader, open_cache(reader.features, parts), open_model(reader, parts))


def open_reader(parts: Collection[str]) -> FeatureReader:
    """Open the reader of the online store."""
    if "online_reader" not in parts:
        return FeatureReader(open_store(), main.SERVICE)
    limits = settings.online_read_timeout_s, settings.max_reads_at_once
    return CompiledReader(feature_store.open_store(), main.SERVICE, *limits)


def open_model(reader: FeatureReader, parts: Collection[str]) -> Model:
    """Load the model; UserError when there is none, or when it conflicts with the service."""
    load = load_onnx_model if "onnx_model" in parts else load_model
    return load(settings.model_dir, reader)


def open_cache(features: Sequence[str], parts: Collection[str]) -> FeatureCache:
    """Open the cache of features, by the settings."""
    project = open_store().project
    if settings.feature_cache == "off":
        return NoCache(project)
    if "local_cache" in parts:
        limits = settings.cache_entries_in_process, settings.cache_poll_s
        return LocalCache(project, *limits, features)
    return FeatureCache(project, features)


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
