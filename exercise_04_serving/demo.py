"""Exercise 4, second part: start the API, predict, load it, print its hit rate, stop it.

Run it with `python -m exercise_04_serving.demo`, after train_model.py.
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from exercise_04_serving.load_test import Payment, draw_payments, load_test
from lab.learn import UserError, run_script, settings

COMMAND = [sys.executable, "-m", "uvicorn", "app.main:app", "--no-access-log", "--app-dir"]
START_S = 90
MIN_HIT_RATE = 0.7
NEW_CUSTOMER: Payment = {"user_id": "nobody", "merchant_id": "nowhere", "transaction_amount": 99.0}


@contextmanager
def running_api(command: Sequence[str]) -> Iterator[None]:
    """Run the API as a process of its own, healthy when this yields."""
    with socket.socket() as probe:
        if probe.connect_ex((settings.host, settings.api_port)) == 0:
            raise UserError(f"port {settings.api_port} is in use", "LAB_API_PORT=8001 lab run 4")
    settings.build_dir.mkdir(parents=True, exist_ok=True)
    log = settings.build_dir / "api.log"
    with log.open("wb") as output:
        api = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        if not becomes_healthy(api):
            raise UserError("the API did not start", f"less {log}")
        yield
    finally:
        api.terminate()
        api.wait(10)


def becomes_healthy(api: subprocess.Popen[bytes]) -> bool:
    """Wait until the API is healthy; return False when it ends or takes too long."""
    deadline = time.monotonic() + START_S
    while api.poll() is None and time.monotonic() < deadline:
        with suppress(requests.ConnectionError):
            if requests.get(f"{settings.api_url}/health", timeout=5).ok:
                return True
        time.sleep(0.2)
    return False


def demonstrate(command: Sequence[str]) -> None:
    """Show single predictions, a batch, latencies under load, and the hit rate."""
    url, payments = settings.api_url, draw_payments(1_000)
    print(f"Exercise 4: the serving API on {url}")
    with running_api(command):
        streaming = requests.get(f"{url}/health", timeout=5).json()["streaming"]
        print(f"  streaming features are {streaming}; the job of exercise 5 keeps them current")
        for payment in (payments[0], NEW_CUSTOMER):
            found = requests.post(f"{url}/predict", json=payment, timeout=10).json()
            print(f"  {payment}: fraud probability {found['fraud_probability']:.1%}")
            print(f"    unknown: {len(found['missing'])} of {len(found['features'])} features")
        batch = {"transactions": payments[:100]}
        found = requests.post(f"{url}/predict/batch", json=batch, timeout=10).json()
        print(f"  a batch of 100 took {found['total_latency_ms']:.1f} ms")
        asyncio.run(load_test(payments, rate=100))
        hit_rate = requests.get(f"{url}/stats", timeout=5).json()["cache_hit_rate"]
    print(f"  cache hit rate {hit_rate:.0%}, by user and merchant")
    if hit_rate < MIN_HIT_RATE:
        raise UserError(f"the hit rate is under {MIN_HIT_RATE:.0%}", "raise WARM_ENTITIES")


def main() -> None:
    demonstrate([*COMMAND, str(Path(__file__).parent), "--port", str(settings.api_port)])


if __name__ == "__main__":
    run_script(main)
