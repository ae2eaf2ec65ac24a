"""Load test of the serving API: what its clients experience.

    python -m exercise_04_serving.load_test --requests 4000 --rate 200     # 200 requests a second
    python -m exercise_04_serving.load_test --requests 1000 --rate inf     # 1,000 concurrent ones

Open loop: each request has its scheduled time, and its latency counts from then. A client that
waits for the last response before it sends the next request measures a stalled server once.
"""

import argparse
import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pandas as pd

from lab.learn import UserError, run_script, settings

Payment = dict[str, Any]


def draw_payments(count: int, folder: Path | None = None) -> list[Payment]:
    """Draw users, merchants and amounts apart, in proportion to their payments.

    Most pairs are new then, as in real traffic: only a cache by entity finds them.
    """
    file = (folder or settings.data_dir) / "transactions.parquet"
    paid = pd.read_parquet(file, columns=["user_id", "merchant_id", "amount"]).query("amount > 0")
    random = np.random.default_rng(settings.seed)
    drawn = {name: random.choice(column.to_numpy(), count) for name, column in paid.items()}
    rows = pd.DataFrame(drawn).rename(columns={"amount": "transaction_amount"})
    payments: list[Payment] = rows.to_dict("records")
    return payments


async def send_request(
    session: aiohttp.ClientSession, payment: Payment, scheduled: float
) -> tuple[float, str]:
    """Send a payment when `scheduled`, by perf_counter; return ms since then and the outcome."""
    await asyncio.sleep(scheduled - time.perf_counter())
    try:
        async with session.post("/predict", json=payment) as response:
            await response.read()
            outcome = f"status {response.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        outcome = type(error).__name__
    return (time.perf_counter() - scheduled) * 1000, outcome


async def load_test(payments: list[Payment], rate: float) -> None:
    """Send the payments, `rate` a second, all at once if it is infinite; print the latencies."""
    connector = aiohttp.TCPConnector(limit=1_000)
    async with aiohttp.ClientSession(settings.api_url, connector=connector) as session:
        started = time.perf_counter()
        sent = [send_request(session, p, started + n / rate) for n, p in enumerate(payments)]
        latencies, outcomes = zip(*await asyncio.gather(*sent), strict=True)
    p50, p95, p99, slowest = np.percentile(latencies, [50, 95, 99, 100], method="inverted_cdf")
    print(f"  {len(payments):,} requests, {rate:g} a second: {dict(Counter(outcomes))}")
    print("  latency in ms at the client, inference included:", end=" ")
    print(f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}, p100 {slowest:.1f}")
    if set(outcomes) != {"status 200"}:
        raise UserError("not every request was answered", "less build/api.log")


def main() -> None:
    parser = argparse.ArgumentParser(description="Load test of the serving API")
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=200, help="requests a second, or inf")
    options = parser.parse_args()
    asyncio.run(load_test(draw_payments(options.requests), options.rate))


if __name__ == "__main__":
    run_script(main)
