"""Puts the service under load, and says what its clients would see.

    python -m exercise_04_serving.production.load_test --rate 500 --seconds 20       # open loop
    python -m exercise_04_serving.production.load_test --closed --connections 1000   # 1,000 at once

Open loop: customers come when they come. Each request has its moment, whatever became of those
before it, and its latency counts from that moment: a server that stalls for a second makes all of
that second's customers wait. Closed loop: each connection sends its next request after the answer
to its last, so a stalled server is asked less; it measures throughput, and flatters latency.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console
from rich.progress import Progress

from exercise_04_serving.production.load_report import Run, Sample, draw, inference_of, table
from exercise_04_serving.production.traffic import Traffic, headers, packed
from lab.errors import UserError, run_script
from lab.settings import settings

ADDRESS = settings.api_url
PLOT = settings.build_dir / "load_test.png"
TIMEOUT_S = 10

console = Console()

Send = Callable[[bytes, float], Awaitable[Sample]]
Tick = Callable[[], object]


@dataclass(frozen=True)
class Client:
    """Sends payments to POST /predict of one service; `began` is a time.perf_counter()."""

    session: aiohttp.ClientSession
    began: float

    async def send(self, payment: bytes, due: float) -> Sample:
        """One request, whose latency counts from `due`, a time.perf_counter()."""
        sent = time.perf_counter()
        server_ms = inference_ms = error = None
        try:
            async with self.session.post("/predict", data=payment, allow_redirects=False) as answer:
                body = await answer.read()
                if answer.status != 200:
                    error = f"status {answer.status}"
                else:
                    server_ms = json.loads(body).get("latency_ms")
                    inference_ms = inference_of(answer.headers)
        except TimeoutError:
            error = f"no answer within {TIMEOUT_S} s"
        except (aiohttp.ClientError, ValueError) as failure:
            error = type(failure).__name__
        return Sample(
            due_s=due - self.began,
            late_ms=(sent - due) * 1e3,
            client_ms=(time.perf_counter() - due) * 1e3,
            server_ms=server_ms,
            inference_ms=inference_ms,
            error=error,
        )


async def open_loop(
    send: Send, payments: Sequence[bytes], rate: float, began: float, tick: Tick
) -> list[Sample]:
    """Send `rate` payments a second, each at its moment."""
    tasks = []
    for number, payment in enumerate(payments):
        due = began + number / rate
        await asyncio.sleep(due - time.perf_counter())
        tasks.append(asyncio.create_task(_ticking(send(payment, due), tick)))
    return await asyncio.gather(*tasks)


async def closed_loop(
    send: Send, payments: Sequence[bytes], connections: int, tick: Tick
) -> list[Sample]:
    """Send all payments, `connections` at a time."""
    waiting = iter(payments)

    async def connection() -> list[Sample]:
        return [await _ticking(send(payment, time.perf_counter()), tick) for payment in waiting]

    samples = await asyncio.gather(*(connection() for _ in range(connections)))
    return [sample for of_connection in samples for sample in of_connection]


async def _ticking(answer: Awaitable[Sample], tick: Tick) -> Sample:
    sample = await answer
    tick()
    return sample


async def load(
    address: str, payments: Sequence[bytes], *, connections: int, rate: float | None, tick: Tick
) -> Run:
    """Send the payments at `rate` a second, or, where it is None, in a closed loop."""
    await require_service(address)
    connector = aiohttp.TCPConnector(limit=connections)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(
        address, connector=connector, timeout=timeout, headers=headers()
    ) as session:
        began = time.perf_counter()
        send = Client(session, began).send
        if rate is None:
            samples = await closed_loop(send, payments, connections, tick)
        else:
            samples = await open_loop(send, payments, rate, began, tick)
        return Run(samples, time.perf_counter() - began)


async def require_service(address: str) -> None:
    """UserError unless `address` is on 127.0.0.1, and something answers there."""
    if urlsplit(address).hostname != settings.host:
        raise UserError(
            f"a load test goes to {settings.host} only, and not to {address}: it could harm others",
            "python -m exercise_04_serving.production.serve, and leave out --address",
        )
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{address}/live"):
            return
    except aiohttp.ClientError as error:
        raise UserError(
            f"no service answers at {address}", "python -m exercise_04_serving.production.serve"
        ) from error


def main(
    rate: Annotated[float, typer.Option(help="Requests a second, in an open loop")] = 200,
    seconds: Annotated[float, typer.Option(help="How long, in an open loop")] = 10,
    closed: Annotated[bool, typer.Option("--closed", help="Each connection waits")] = False,
    requests: Annotated[int, typer.Option(help="How many, in a closed loop")] = 1_000,
    connections: Annotated[int, typer.Option(help="At most this many at a time")] = 50,
    address: Annotated[str, typer.Option(help="Where the service is")] = ADDRESS,
    seed: Annotated[int, typer.Option(help="Which payments are drawn")] = settings.seed,
) -> None:
    """Send payments with real ids to the service, print the latencies, and draw them."""
    count = requests if closed else round(rate * seconds)
    how = f"{connections} at a time" if closed else f"{rate:g} a second"
    console.print(f"Load test: {count:,} payments to {address}, {how}")
    payments = packed(Traffic.of_dataset(seed=seed).payments(count))
    with Progress(console=console, transient=True) as progress:
        tick = partial(progress.advance, progress.add_task("  sending", total=count))
        offered = None if closed else rate
        run = asyncio.run(load(address, payments, connections=connections, rate=offered, tick=tick))
    console.print(table(run))
    console.print(f"  {run.summary}", highlight=False)
    draw(run, PLOT)
    console.print(f"  written: {PLOT}")
    if run.errors:
        sys.exit(1)


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
