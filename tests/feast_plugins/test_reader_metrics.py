"""Metrics and traces of the online reader."""

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from feast_plugins.online_errors import RequestError
from feast_plugins.online_reader import OnlineReader
from feast_plugins.reader_metrics import NAME, ObservedReader
from lab.stack.redis import RedisServer
from tests.feast_plugins.online_reader_repo import NOW, Repo


@pytest.mark.anyio
async def test_reads_are_counted_timed_and_traced(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans, provider, registry = InMemorySpanExporter(), TracerProvider(), CollectorRegistry()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)  # may be set once only
    repo = Repo(tmp_path, server)
    repo.write("stats", {"user_id": "u1"}, {"count": 7, "mean": None})
    with OnlineReader.open(repo.config, "stats", now=lambda: NOW) as reader:
        observed = ObservedReader(reader, "stats", registry)
        rows = {"user_id": ["u1", "u2"]}
        assert observed.read(rows) == await observed.read_async(rows) == reader.read(rows)
        with pytest.raises(RequestError):
            observed.read({})

    def sample(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"{NAME}_{name}", labels)

    assert sample("seconds_count") == 3
    assert sample("errors_total", error="RequestError") == 1
    assert sample("values_total", feature="count", status="present") == 2
    assert sample("values_total", feature="mean", status="null") == 2
    assert sample("values_total", feature="mean", status="missing") == 2
    assert sample("failed_checks") == sample("retries") == 0
    traced = [(span.name, dict(span.attributes or {})) for span in spans.get_finished_spans()]
    done = ("feast_plugins.read", {"feast.service": "stats", "feast.rows": 2})
    assert traced == [done, done, (done[0], {"feast.service": "stats"})]
