"""Exercise 4, second part: start the serving API, ask it, load it for a moment, stop it.

Run it with `python -m exercise_04_serving.production.demo`, after exercises 1 to 3 and train_model.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from rich.console import Console

from exercise_04_serving.production.load_report import Run, table
from exercise_04_serving.production.load_test import load
from exercise_04_serving.production.traffic import Traffic, headers, packed
from lab.errors import UserError, run_script
from lab.figures import record
from lab.settings import settings
from lab.stack.ports import require_free_ports

ADDRESS = settings.api_url
START_S = 90
RATE, SECONDS, CONNECTIONS = 200, 5, 50
NOBODY = {"user_id": "nobody", "merchant_id": "nowhere", "transaction_amount": 99.0}

console = Console()


@contextmanager
def running_service() -> Iterator[None]:
    """The service as its own process; its requests in flight are finished at the end."""
    require_free_ports("the serving API", settings.host, {"api_port": settings.api_port})
    log = settings.build_dir / "serving" / "api.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        command = [sys.executable, "-m", "exercise_04_serving.production.serve"]
        service = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_S
        while not _is_ready():
            if service.poll() is not None or time.monotonic() > deadline:
                raise UserError("the serving API did not get ready", f"less {log}")
            time.sleep(0.1)
        yield
    finally:
        service.terminate()
        service.wait(settings.drain_timeout_s + 5)


def _is_ready() -> bool:
    try:
        return get("/ready") is not None
    except (URLError, ConnectionError):
        return False


def get(path: str) -> Any:
    """The answer to a GET."""
    return _asked(Request(f"{ADDRESS}{path}", headers=headers()))


def post(path: str, body: Any) -> Any:
    """The answer to a POST."""
    return _asked(Request(f"{ADDRESS}{path}", json.dumps(body).encode(), headers=headers()))


def _asked(request: Request) -> Any:
    with urlopen(request, timeout=settings.socket_timeout_s) as answer:
        return json.load(answer)


def show_predictions(traffic: Traffic) -> None:
    """One payment of a known user, one of an unknown user, a hundred together."""
    for payment in (*traffic.payments(1), NOBODY):
        verdict = post("/predict", payment)
        missing = f", {len(verdict['missing'])} features unknown" if verdict["missing"] else ""
        console.print(
            f"  {verdict['user_id']} pays {payment['transaction_amount']:.2f} to "
            f"{verdict['merchant_id']}: {verdict['fraud_probability']:.2%} fraud{missing}"
        )
    batch = post("/predict/batch", {"transactions": traffic.payments(100)})
    flagged = sum(verdict["is_fraud"] for verdict in batch["predictions"])
    console.print(f"  100 together: {flagged} flagged, in {batch['total_latency_ms']:.1f} ms")


def short_load(traffic: Traffic) -> Run:
    """Some seconds of payments, each at its moment."""
    payments = packed(traffic.payments(RATE * SECONDS))
    return asyncio.run(
        load(ADDRESS, payments, connections=CONNECTIONS, rate=RATE, tick=lambda: None)
    )


def main() -> None:
    console.print(f"Exercise 4: the serving API on {ADDRESS}, {settings.api_workers} workers")
    traffic = Traffic.of_dataset()
    with running_service():
        show_predictions(traffic)
        run = short_load(traffic)
        stats = get("/stats")
    console.print(table(run))
    console.print(
        f"  {stats['total_predictions']:,} predictions, "
        f"{stats['cache_hit_rate']:.0%} of them from the cache"
    )
    record("serving_cache_hit_rate", stats["cache_hit_rate"], "")
    if run.errors:
        raise SystemExit(f"{run.errors.total()} requests failed")


if __name__ == "__main__":
    run_script(main)
