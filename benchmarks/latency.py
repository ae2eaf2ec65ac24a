"""Latency of online reads, alone and with 50 clients: ours next to Feast's two paths."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from feast import FeatureService, FeatureStore

from benchmarks.harness.figures import Figure
from benchmarks.harness.stores import FEASTS, materialize, open_store, view_of
from benchmarks.harness.timing import alternated, seconds
from benchmarks.harness.workload import Snapshots, write_snapshots
from benchmarks.reader import SDK, Read, Rows, require_equal, shortly_after
from feast_plugins.online_reader import OnlineReader
from lab.stack.redis import private_redis

PRECOMPUTED = "Feast's precomputed vectors"
RANKS = (50, 99)


@dataclass(frozen=True)
class Sizes:
    """Keys, clients at once, and slices; `calls` are those of a slice, by the rows of one call."""

    users: int = 10_000
    clients: Sequence[int] = (1, 50)
    calls: Mapping[int, int] = field(default_factory=lambda: {1: 200, 10: 100, 100: 50})
    slices: int = 9


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure p50 and p99 of a call, by rows and clients; the faster peer of each counts."""
    with TemporaryDirectory(prefix="bench_latency_") as temporary:
        folder = Path(temporary)
        table = write_snapshots("user", sizes.users, sizes.users, folder)
        with private_redis(folder) as server:
            store = open_store(FEASTS, [table], folder, server)
            materialize(store, table)
            peers = peer_reads(store, table)
            with OnlineReader.open(
                store.config, SDK, full_feature_names=True, now=shortly_after
            ) as reader:
                sides = {"ours": lambda rows: reader.read(rows).values, **peers}
                for clients in sizes.clients:
                    for rows in sizes.calls:
                        yield from compare(sides, clients, rows, sizes)


def peer_reads(store: FeatureStore, table: Snapshots) -> Mapping[str, Read]:
    """Return Feast's reads of one view: its regular path and the one with a vector for each key."""
    view = store.get_feature_view(view_of(table))
    regular = FeatureService(name=SDK, features=[view])
    precomputed = FeatureService(name=PRECOMPUTED, features=[view], precompute_online=True)
    with redirect_stdout(StringIO()):
        store.apply([regular, precomputed])
    store.precompute_feature_service(PRECOMPUTED)

    def read(service: FeatureService, rows: Rows) -> Mapping[str, Sequence[object]]:
        return store.get_online_features(service, rows, full_feature_names=True).to_dict()

    return {s.name: partial(read, s) for s in (regular, precomputed)}


def compare(sides: Mapping[str, Read], clients: int, rows: int, sizes: Sizes) -> Iterator[Figure]:
    """Compare latencies in alternated slices: the median of the slices' ratios counts."""
    requests = [
        {"user_id": [f"user_{(call * rows + row) * 7919 % sizes.users}" for row in range(rows)]}
        for call in range(sizes.calls[rows])
    ]
    for read in sides.values():
        require_equal(sides["ours"](requests[0]), read(requests[0]))
    slices = {name: slice_of(read, requests, clients) for name, read in sides.items()}
    taken = alternated(slices, sizes.slices)
    for place, rank in enumerate(RANKS):
        by_side = {name: np.array(measured)[:, place] for name, measured in taken.items()}
        name = f"latency_p{rank}_{rows}_rows_{clients}_clients_vs_feast"
        yield Figure.of_slices(name, by_side.pop("ours"), "ms", by_side)


def slice_of(read: Read, requests: Sequence[Rows], clients: int) -> Callable[[], Sequence[float]]:
    """Return a function that sends all requests and returns the ranks' latencies in ms."""

    def send() -> Sequence[float]:
        with ThreadPoolExecutor(clients) as pool:
            taken = list(pool.map(lambda rows: seconds(lambda: read(rows)), requests))
        return [float(value) for value in np.percentile(taken, RANKS) * 1e3]

    return send
