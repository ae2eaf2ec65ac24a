"""Metrics and traces of an online reader: Prometheus and OpenTelemetry.

    observed = ObservedReader(reader, "fraud_detection")
    observed.read(rows)  # as reader.read; so does read_async

Needs the extra `metrics`. Traces go where the process's tracer provider sends them, by default
nowhere.
"""

from collections import Counter as Counts
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.trace import Span, get_tracer
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from feast_plugins.online_features import OnlineFeatures
from feast_plugins.online_reader import OnlineReader
from feast_plugins.read_plan import Rows

NAME = "feast_plugins_reader"
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class ObservedReader:
    """A reader whose reads are counted, timed and traced; one for each service and registry."""

    def __init__(
        self, reader: OnlineReader, service: str, registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._reader, self._service = reader, service
        self._tracer = get_tracer("feast_plugins")
        self._seconds = Histogram(
            f"{NAME}_seconds", "Duration of a read", buckets=SECONDS, registry=registry
        )
        self._errors = Counter(f"{NAME}_errors", "Failed reads", ["error"], registry=registry)
        self._values = Counter(
            f"{NAME}_values", "Values read", ["feature", "status"], registry=registry
        )
        retries = Gauge(f"{NAME}_retries", "Repeated reads", registry=registry)
        retries.set_function(lambda: reader.state.retries)
        failed = Gauge(f"{NAME}_failed_checks", "Failed reads of the registry", registry=registry)
        failed.set_function(lambda: reader.state.registry.failed_checks)

    def read(self, rows: Rows) -> OnlineFeatures:
        """Read as OnlineReader.read does."""
        with self._observed() as span:
            return self._counted(self._reader.read(rows), span)

    async def read_async(self, rows: Rows) -> OnlineFeatures:
        """Read as OnlineReader.read_async does."""
        with self._observed() as span:
            return self._counted(await self._reader.read_async(rows), span)

    @contextmanager
    def _observed(self) -> Iterator[Span]:
        started = perf_counter()
        with self._tracer.start_as_current_span("feast_plugins.read") as span:
            span.set_attribute("feast.service", self._service)
            try:
                yield span
            except Exception as error:
                self._errors.labels(type(error).__name__).inc()
                raise
            finally:
                self._seconds.observe(perf_counter() - started)

    def _counted(self, answer: OnlineFeatures, span: Span) -> OnlineFeatures:
        for feature, statuses in answer.statuses.items():
            for status, count in Counts(statuses).items():
                self._values.labels(feature, status).inc(count)
        span.set_attribute("feast.rows", max(map(len, answer.values.values()), default=0))
        return answer
