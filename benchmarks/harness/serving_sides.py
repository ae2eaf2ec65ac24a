"""The service in two settings and its peers, all running at the same time over one shop."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness.http_client import Answers, HttpClient, Load, http_client, post
from benchmarks.harness.servers import HttpServer, running, wait_for
from exercise_04_serving.load_test import draw_payments
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import private_redis

OURS, CACHED, FEAST, BARE = "ours", "ours, cached", "feast serve", "a bare FastAPI GET"
SERVICE = "fraud_detection"
CONNECTIONS = 50


@dataclass(frozen=True)
class Side:
    """A server, and the requests that it gets: one for each payment."""

    server: HttpServer
    requests: Sequence[bytes]


@dataclass
class Sides:
    """All servers; those without a load are idle. `client_shares`: processor share of each load."""

    by_name: Mapping[str, Side]
    payments: Sequence[dict[str, Any]]
    client: HttpClient
    client_shares: list[float] = field(default_factory=list)

    def send(
        self,
        name: str,
        requests: Sequence[bytes] | None = None,
        connections: int = CONNECTIONS,
        **load: Any,
    ) -> Answers:
        """Send a load to a side: its own requests by default."""
        side = self.by_name[name]
        load = {"connections": connections, **load}
        answers = self.client.send(Load(side.server.port, requests or side.requests, **load))
        self.client_shares.append(answers.cpu_share)
        return answers

    def send_all(self, name: str, requests: Sequence[bytes] | None = None, **load: Any) -> Answers:
        """Do the same; AssertionError when one of the requests failed."""
        answers = self.send(name, requests, **load)
        assert not answers.errors, f"{name}: {answers.errors}"
        return answers


@contextmanager
def serving_sides(transactions: int, payments: int, workers: int) -> Iterator[Sides]:
    """Start a shop of about that many transactions, its Redis, the four servers and the client."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench_serving_")))
        redis = stack.enter_context(private_redis(folder, maxmemory="1gb"))
        shop = {
            "LAB_DATA_DIR": str(folder / "data"),
            "LAB_BUILD_DIR": str(folder),
            "LAB_MODEL_DIR": str(folder / "models"),
            "LAB_REDIS_PORT": str(redis.port),
            "LAB_TRANSACTIONS": str(transactions),
        }
        made = [sys.executable, "-m", "benchmarks.harness.shop"]
        subprocess.run(made, cwd=settings.root, env=os.environ | shop, check=True)
        servers = [
            stack.enter_context(running(name, command, port, shop | own, folder / f"{port}.log"))
            for name, command, port, own in commands(workers)
        ]
        wait_for(servers)
        drawn = draw_payments(payments, folder / "data")
        yield Sides(
            {server.name: Side(server, requests_of(server.name, drawn)) for server in servers},
            drawn,
            stack.enter_context(http_client()),
        )


def commands(workers: int) -> Iterator[tuple[str, list[str], int, dict[str, str]]]:
    """Yield each side's name, command, port, and settings of its own."""
    python, count = sys.executable, str(workers)
    for name, cache in ((OURS, "off"), (CACHED, "on")):
        port = free_port()
        own = {"LAB_API_PORT": str(port), "LAB_API_WORKERS": count, "LAB_FEATURE_CACHE": cache}
        yield name, [python, "-m", "exercise_04_serving.production.server"], port, own
    port = free_port()
    yield FEAST, [python, "-O", "-m", "benchmarks.harness.feast_server", str(port), count], port, {}
    port = free_port()
    bare = ["benchmarks.harness.bare_get:app", "--port", str(port), "--workers", count]
    yield BARE, [python, "-m", "uvicorn", *bare, "--no-access-log"], port, {}


def requests_of(name: str, payments: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return the payments in the side's form; Feast's server takes columns."""
    if name != FEAST:
        return [post("/predict", json.dumps(payment).encode()) for payment in payments]
    bodies = [
        {"feature_service": SERVICE, "entities": {key: [value] for key, value in payment.items()}}
        for payment in payments
    ]
    return [post("/get-online-features", json.dumps(body).encode()) for body in bodies]
