"""Latency of online reads, alone and with 50 clients: ours, Feast's two paths, a bare HMGET."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import redis
from feast import FeatureService, FeatureStore

from benchmarks.harness.figures import Figure
from benchmarks.harness.stores import FEASTS, materialize, open_store, view_of
from benchmarks.harness.timing import alternated, seconds
from benchmarks.harness.workload import Snapshots, write_snapshots
from benchmarks.reader import SDK, Read, Rows, require_equal, shortly_after
from feast_plugins.online_reader import OnlineReader
from feast_plugins.redis_encoding import KeyLayout, Kind, feature_field, time_field
from lab.stack.redis import RedisServer, private_redis

PRECOMPUTED = "Feast's precomputed vectors"
BARE = "a bare pipelined HMGET"
RANKS = (50, 99)


@dataclass(frozen=True)
class Sizes:
    """Keys, clients at once, and slices; `calls` are those of a slice, by the rows of one call."""

    users: int = 10_000
    clients: Sequence[int] = (1, 50)
    calls: Mapping[int, int] = field(default_factory=lambda: {1: 1000, 10: 500, 100: 200})
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
                sides[BARE] = bare_read(server, store, table)
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


def bare_read(server: RedisServer, store: FeatureStore, table: Snapshots) -> Read:
    """Return a pipelined HMGET of the same fields by redis-py; the replies stay bytes."""
    view, client = view_of(table), redis.Redis(port=server.port)
    layout = KeyLayout(store.project, {table.key: Kind.STRING})
    fields = [time_field(view), *(feature_field(view, name) for name in table.features)]

    def read(rows: Rows) -> Mapping[str, Sequence[object]]:
        with client.pipeline(transaction=False) as pipeline:
            for key in layout.keys([rows[table.key]]):
                pipeline.hmget(key, fields)
            return {BARE: pipeline.execute()}

    return read


def compare(sides: Mapping[str, Read], clients: int, rows: int, sizes: Sizes) -> Iterator[Figure]:
    """Compare latencies in alternated slices: the median of the slices' ratios counts."""
    requests = [
        {"user_id": [f"user_{(call * rows + row) * 7919 % sizes.users}" for row in range(rows)]}
        for call in range(sizes.calls[rows])
    ]
    for name, read in sides.items():
        if name != BARE:
            require_equal(sides["ours"](requests[0]), read(requests[0]))
    with ThreadPoolExecutor(clients) as threads:
        slices = {name: slice_of(read, requests, threads) for name, read in sides.items()}
        for warm_up in slices.values():
            warm_up()
        taken = alternated(slices, sizes.slices)
    for place, rank in enumerate(RANKS):
        by_side = {name: [ranks[place] for ranks in measured] for name, measured in taken.items()}
        bare = {"ours": by_side["ours"], BARE: by_side.pop(BARE)}
        name = f"latency_p{rank}_{rows}_rows_{clients}_clients_vs"
        yield Figure.of_slices(f"{name}_feast", by_side, "ms")
        yield Figure.of_slices(f"{name}_bare", bare, "ms")


def slice_of(
    read: Read, requests: Sequence[Rows], threads: ThreadPoolExecutor
) -> Callable[[], Sequence[float]]:
    """Return a function that sends all requests and returns the ranks' latencies in ms."""

    def send() -> Sequence[float]:
        taken = list(threads.map(lambda rows: seconds(lambda: read(rows)), requests))
        return [float(value) for value in np.percentile(taken, RANKS) * 1e3]

    return send
