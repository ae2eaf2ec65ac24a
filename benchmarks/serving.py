"""The serving API under load; peers are `feast serve` and a bare FastAPI endpoint of one GET."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness.figures import Figure
from benchmarks.harness.http_client import Answers, post
from benchmarks.harness.serving_sides import (
    BARE,
    CACHED,
    CONNECTIONS,
    FEAST,
    OURS,
    Sides,
    serving_sides,
)
from benchmarks.harness.timing import alternated, other_load

BATCH = 100
COMPARED = 200
STREAMING = ("_5m", "_1h")
BUSY = ", machine busy"
PREFIXES = {OURS: "serving", CACHED: "serving_cached"}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the loads; `rate` and `curve` are requests offered a second.

    Throughput is measured in alternated `slices` of `seconds`.
    """

    transactions: int = 50_000
    payments: int = 20_000
    workers: int = 2
    seconds: float = 3
    slices: int = 9
    repeats: int = 5
    rate: int = 1_000
    rate_seconds: float = 10
    at_once: int = 1_000
    batches: int = 400
    singles: int = 4_000
    curve: Sequence[int] = (500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000)
    curve_seconds: float = 2
    lifetime: int = 200_000


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure throughput, latency at a rate, 1,000 at once, batches, the curve, and memory."""
    with serving_sides(sizes.transactions, sizes.payments, sizes.workers) as sides:
        require_equal_answers(sides)
        yield from against_peers(throughput(sides, sizes))
        for name, prefix in PREFIXES.items():
            yield from latency_at_rate(sides, name, prefix, sizes)
        yield from at_once(sides, sizes)
        yield from batch_against_singles(sides, sizes)
        yield from latency_over_load(sides, sizes)
        yield memory(sides, sizes)
        yield Figure("serving_client_cpu_share", max(sides.client_shares), "of a processor")


def require_equal_answers(sides: Sides) -> None:
    """Raise AssertionError unless our sides and Feast's server give the same features.

    Streaming features are left out: Feast returns null for a user without recent payments.
    """
    ours, cached, feasts = (
        sides.send_all(name, connections=1, count=COMPARED, keep=True).contents
        for name in (OURS, CACHED, FEAST)
    )
    for answer, from_cache, from_feast in zip(ours, cached, feasts, strict=True):
        expected = by_name(body(from_feast))
        for features in (body(answer)["features"], body(from_cache)["features"]):
            names = [name for name in features if not name.endswith(STREAMING)]
            assert {n: features[n] for n in names} == {n: expected[n] for n in names}


def body(answer: bytes) -> dict[str, Any]:
    """Return the JSON of an HTTP answer."""
    content: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return content


def by_name(columns: dict[str, Any]) -> dict[str, float]:
    """Return the one row of an answer of Feast's server."""
    names = columns["metadata"]["feature_names"]
    return {name: c["values"][0] for name, c in zip(names, columns["results"], strict=True)}


# ---- Throughput ------------------------------------------------------------------------------


def throughput(sides: Sides, sizes: Sizes) -> dict[str, list[float]]:
    """Measure each side's requests a second in slices, in a closed loop; any caches are warm."""

    def rate(name: str) -> float:
        return sides.send_all(name, seconds=sizes.seconds).per_second

    def rate_under_load(name: str) -> float:
        with other_load():
            return rate(name)

    measures = {name: partial(rate, name) for name in sides.by_name}
    for warm_up in measures.values():
        warm_up()
    measures |= {name + BUSY: partial(rate_under_load, name) for name in (OURS, BARE)}
    return alternated(measures, sizes.slices)


def against_peers(slices: dict[str, list[float]]) -> Iterator[Figure]:
    """Compare our requests a second with those of the peers, and the ratios of two loads."""
    for figure, ours, peer in (
        ("serving_vs_feast_serve", OURS, FEAST),
        ("serving_cached_vs_feast_serve", CACHED, FEAST),
        ("serving_vs_bare_get", OURS, BARE),
        ("serving_cached_vs_bare_get", CACHED, BARE),
    ):
        both = {side: slices[side] for side in (ours, peer)}
        yield Figure.of_slices(figure, both, "requests/s", are_rates=True)
    ratios = {
        "ratio to a bare GET, machine busy": np.divide(slices[OURS + BUSY], slices[BARE + BUSY]),
        "the same ratio, without the load": np.divide(slices[OURS], slices[BARE]),
    }
    yield Figure.of_slices("serving_ratio_busy_vs_quiet", ratios, "times", are_rates=True)


# ---- Latency ---------------------------------------------------------------------------------


def latency_at_rate(sides: Sides, name: str, prefix: str, sizes: Sizes) -> Iterator[Figure]:
    """Measure the 95th percentiles at a rate: the client's, and the server's."""
    count = round(sizes.rate * sizes.rate_seconds)
    runs = [
        sides.send_all(name, rate=sizes.rate, count=count, keep=True) for _ in range(sizes.repeats)
    ]
    client, server = median(r.percentile(95) for r in runs), median(map(server_p95, runs))
    yield Figure(f"{prefix}_client_p95_ms", client, "ms")
    yield Figure(f"{prefix}_server_p95_ms", server, "ms")


def server_p95(answers: Answers) -> float:
    """Return the 95th percentile of the server's own latency, with its inference of 0.01 ms."""
    taken = [body(answer)["latency_ms"] for answer in answers.contents]
    return float(np.percentile(taken, 95, method="inverted_cdf"))


def at_once(sides: Sides, sizes: Sizes) -> Iterator[Figure]:
    """Send all requests at the same moment, each on a connection of its own."""
    runs = [
        sides.send(OURS, connections=sizes.at_once, count=sizes.at_once)
        for _ in range(sizes.repeats)
    ]
    errors = sum(run.errors.total() for run in runs)
    yield Figure("serving_1000_at_once_errors", errors, "errors")
    yield Figure("serving_1000_at_once_s", max(run.seconds for run in runs), "s")


def latency_over_load(sides: Sides, sizes: Sizes) -> Iterator[Figure]:
    """Measure the 95th percentiles of a curve of loads, up to and above saturation."""
    for rate in sizes.curve:
        count = round(rate * sizes.curve_seconds)
        for name, prefix in PREFIXES.items():
            runs = [sides.send_all(name, rate=rate, count=count) for _ in range(sizes.repeats)]
            p95 = median(run.percentile(95) for run in runs)
            yield Figure(f"{prefix}_p95_ms_at_{rate}", p95, "ms")


# ---- Cost ------------------------------------------------------------------------------------


def batch_against_singles(sides: Sides, sizes: Sizes) -> Iterator[Figure]:
    """Compare the processor time of a batch of 100 with that of a single request.

    First with requests that come one after the other, then with many at once, which share turns of
    the event loop.
    """
    starts = range(0, len(sides.payments), BATCH)
    bodies = [{"transactions": sides.payments[start : start + BATCH]} for start in starts]
    batches = [post("/predict/batch", json.dumps(body).encode()) for body in bodies]

    def cost(connections: int, count: int, requests: Sequence[bytes] | None = None) -> float:
        server = sides.by_name[OURS].server
        before = server.cpu_seconds()
        sides.send_all(OURS, requests, connections=connections, count=count)
        return (server.cpu_seconds() - before) / count * 1e3

    for connections, name in ((1, ""), (CONNECTIONS, "_at_once")):
        measures = {
            "batch": partial(cost, connections, sizes.batches, batches),
            "one single request": partial(cost, connections, sizes.singles),
        }
        figure = f"serving_batch100_vs_singles{name}"
        costs = alternated(measures, sizes.repeats)
        yield Figure.of_slices(figure, costs, "ms", are_rates=True)


def memory(sides: Sides, sizes: Sizes) -> Figure:
    """Compare the memory at the end of a long life with that at a tenth of it; caches on."""
    server = sides.by_name[CACHED].server
    early = sizes.lifetime // 10
    sides.send_all(CACHED, count=early)
    before = server.memory_mib()
    sides.send_all(CACHED, count=sizes.lifetime - early)
    peer = f"after {early:,} requests"
    return Figure.multiple("serving_memory_vs_early", server.memory_mib(), "MiB", peer, before)
