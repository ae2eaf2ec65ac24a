"""Start the serving API for tests, in this process or in its own, and send requests to it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest
import redis
from fastapi.testclient import TestClient

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from lab.settings import settings
from lab.stack.ports import free_port
from tests.settings_in_force import settings_in_force, variables
from tests.waiting import eventually

STORED = [
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
    "total_transactions_30d",
    "transactions_24h_vs_daily_mean",
    "chargeback_count_30d",
]
REQUEST_TIME = ["amount_vs_avg_ratio", "is_large_transaction", "transaction_velocity"]
MODEL_INPUTS = [*STORED, *REQUEST_TIME, "transaction_amount"]
STREAMING_VIEW = "user_streaming_features"
BOTH = ("solution", "production")
SECONDS = 30.0  # a wait that is longer is a failure

Body = dict[str, Any]
NOBODY: Body = {"user_id": "nobody", "merchant_id": "nowhere", "transaction_amount": 10.0}


def payments(count: int) -> list[Body]:
    """Return the last payments of the data."""
    columns = ["user_id", "merchant_id", "amount"]
    table = pq.read_table(settings.data_dir / "transactions.parquet", columns=columns)
    rows = table.slice(len(table) - count).rename_columns([*columns[:2], "transaction_amount"])
    made: list[Body] = rows.to_pylist()
    return made


def users_payments(count: int) -> list[Body]:
    """Return the last payment of each of `count` users."""
    last = {payment["user_id"]: payment for payment in payments(1_000)}
    return list(last.values())[:count]


def predict(api: TestClient, payment: Body) -> Body:
    """Return the prediction of a payment."""
    answer = api.post("/predict", json=payment)
    assert answer.status_code == 200, answer.text
    body: Body = answer.json()
    return body


def cache_database() -> redis.Redis:
    """Return a client of database 1 of the shop's Redis."""
    return redis.Redis(settings.host, settings.redis_port, db=1, socket_timeout=5)


@contextmanager
def running_api(production: bool = True, **changes: Any) -> Iterator[TestClient]:
    """Run the API in this process, of production or of the solution, with changed settings."""
    from exercise_04_serving.app import main
    from exercise_04_serving.production import parts

    with settings_in_force(**changes):
        app = parts.create_app() if production else main.create_app()
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client


def publish_progress(age_s: float = 0) -> None:
    """Publish a progress time of the streaming job."""
    client = redis.Redis(settings.host, settings.redis_port, socket_timeout=5)
    client.set(PROGRESS_KEY, int((time.time() - age_s) * 1_000))


async def nothing_warm(_: object) -> None:
    """Warm nothing."""


@contextmanager
def cold_start() -> Iterator[None]:
    """Start without a warm cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exercise_04_serving.app.main.warm_cache", nothing_warm)
        yield


class LiveApi:
    """The API in its own process: production by server.py, the solution by uvicorn."""

    def __init__(self, log: Path, changes: Mapping[str, Any], production: bool) -> None:
        self.port = free_port()
        self.log = log
        solution = ["uvicorn", "exercise_04_serving.app.main:app", "--port", str(self.port)]
        module = ["exercise_04_serving.production.server"] if production else solution
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=os.environ | variables(api_port=self.port, **changes),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=SECONDS)
        self.api_workers = changes.get("api_workers", settings.api_workers) if production else 1

    def started(self) -> int:
        """Return how many workers have started; the first starts long before the last."""
        log = self.log.read_text()
        assert self.process.poll() is None, log
        return log.count("Application startup complete")

    @property
    def workers(self) -> list[psutil.Process]:
        """Return the serving processes; multiprocessing has helpers of its own."""
        return [child for child in psutil.Process(self.process.pid).children() if _serves(child)]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def _serves(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one too
        return False


@contextmanager
def live_api(log: Path, production: bool = True, **changes: Any) -> Iterator[LiveApi]:
    """Start the API, and end it with the test."""
    api = LiveApi(log, changes, production)
    try:
        eventually(lambda: api.started() == api.api_workers, 3 * SECONDS)
        yield api
    finally:
        api.close()
