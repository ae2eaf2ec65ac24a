"""What the service counts. With several workers the counts are of all, dead ones included.

Each worker writes its counts to files in PROMETHEUS_MULTIPROC_DIR, which has to be set before
prometheus_client is imported: serve.py does it. Without it the process counts for itself.
"""

from collections import defaultdict
from functools import cache

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5, 1, 2.5)
MODEL_SECONDS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.025)

PREDICTIONS = Counter("predictions_total", "Payments that were judged")
LATENCY = Histogram(
    "prediction_latency_seconds", "A request in the service, inference included", buckets=SECONDS
)
INFERENCE = Histogram("inference_latency_seconds", "The model alone", buckets=MODEL_SECONDS)
CACHE_HITS = Counter("feature_cache_hits", "Payments whose slow features came from a cache")
CACHE_MISSES = Counter("feature_cache_misses", "Payments whose slow features came from the store")
DEFAULTS = Counter("features_defaulted", "Features that were unknown", ["feature", "reason"])
RESPONSES = Counter("http_responses", "Answers", ["route", "status"])
SHED = Counter("requests_shed", "Requests refused because too many were in flight")
IN_FLIGHT = Gauge(
    "requests_in_flight", "Requests in work, a second ago at most", multiprocess_mode="livesum"
)


class InWork:
    """The requests that this worker is at; counted for every one, told to the others in a while."""

    requests = 0

    def tell(self) -> None:
        """Set the gauge, which is written to a file."""
        IN_FLIGHT.set(self.requests)


in_work = InWork()


@cache
def _default_counter(feature: str, reason: str) -> Counter:
    return DEFAULTS.labels(feature, reason)


@cache
def _response_counter(route: str, status: int) -> Counter:
    return RESPONSES.labels(route, str(status))


def count_default(feature: str, reason: str) -> None:
    """Count an unknown feature with the reason."""
    _default_counter(feature, reason).inc()


def count_response(route: str, status: int) -> None:
    """A request was answered; `route` is one of ours, so that there are few."""
    _response_counter(route, status).inc()


def _registry() -> CollectorRegistry:
    # Not by the environment: importing Feast sets the variable, which by then may be too late.
    if values.ValueClass is values.MutexValue:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


def exposition() -> bytes:
    """All metrics in Prometheus's text format."""
    return generate_latest(_registry())


def totals() -> dict[str, float]:
    """The sums of all samples, by name."""
    sums: dict[str, float] = defaultdict(float)
    for metric in _registry().collect():
        for sample in metric.samples:
            sums[sample.name] += sample.value
    return sums
