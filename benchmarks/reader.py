"""Online reads of one service: this project's compiled reader and Feast's SDK."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from feast import FeatureService, FeatureStore, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64

from benchmarks.harness.figures import Figure
from benchmarks.harness.stores import FEASTS, OURS, materialize, open_store, view_of
from benchmarks.harness.timing import alternated, cpu_seconds
from benchmarks.harness.workload import DAY, START, Snapshots, write_snapshots
from feast_plugins.online_reader import OnlineReader
from lab.stack.redis import private_redis

SDK = "Feast's SDK"
SERVICE = "fraud"

Rows = dict[str, list[Any]]
Values = Mapping[str, Sequence[object]]
Read = Callable[[Rows], Values]


@dataclass(frozen=True)
class Sizes:
    """Keys, calls and blocks; `calls` are those of a block, by the rows of one call."""

    users: int = 10_000
    merchants: int = 1_000
    calls: Mapping[int, int] = field(default_factory=lambda: {1: 200, 10: 100, 100: 20, 1000: 4})
    blocks: int = 11


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure the processor time of one row, for ten times as many rows in one call each time."""
    with TemporaryDirectory(prefix="bench_reader_") as temporary:
        folder = Path(temporary)
        keys = {"user": sizes.users, "merchant": sizes.merchants}
        tables = [write_snapshots(entity, count, count, folder) for entity, count in keys.items()]
        with private_redis(folder) as server:
            ours = open_store(OURS, tables, folder, server)
            feasts = open_store(FEASTS, tables, folder, server)
            for table in tables:
                materialize(ours, table)
            sdk = through_sdk(feasts, add_service(feasts, tables))
            add_service(ours, tables)
            with OnlineReader.open(ours.config, SERVICE, now=shortly_after) as reader:
                for rows, calls in sizes.calls.items():
                    requests = [request(rows, call, sizes) for call in range(calls)]
                    yield compare(rows, requests, lambda r: reader.read(r).values, sdk, sizes)


def shortly_after() -> datetime:
    """Return a time at which the snapshots are within their TTL, which the reader applies."""
    return START + 2 * DAY


def add_service(store: FeatureStore, tables: Sequence[Snapshots]) -> FeatureService:
    """Add a service of both views and of an on-demand view, computed by a Python function."""
    users, merchants = (store.get_feature_view(view_of(table)) for table in tables)
    amount = RequestSource(name="payment", schema=[Field(name="amount", dtype=Float64)])

    @on_demand_feature_view(
        sources=[users, amount],
        schema=[Field(name="amount_over_mean", dtype=Float64)],
        mode="python",
    )
    def unusual_amount(inputs: dict[str, Any]) -> dict[str, Any]:
        pairs = zip(inputs["amount"], inputs["user_mean_amount_30d"], strict=True)
        return {"amount_over_mean": [amount / mean if mean else None for amount, mean in pairs]}

    service = FeatureService(name=SERVICE, features=[users, merchants, unusual_amount])
    store.apply([unusual_amount, service])
    return service


def through_sdk(store: FeatureStore, service: FeatureService) -> Read:
    """Return Feast's read as a user runs it: a service object, a warm registry, final values."""
    return lambda rows: store.get_online_features(service, rows).to_dict()


def request(rows: int, call: int, sizes: Sizes) -> Rows:
    """Return users and merchants that differ from call to call, and amounts."""
    numbers = [(call * rows + row) * 7919 for row in range(rows)]
    return {
        "user_id": [f"user_{n % sizes.users}" for n in numbers],
        "merchant_id": [f"merchant_{n % sizes.merchants}" for n in numbers],
        "amount": [float(n % 997) for n in numbers],
    }


def compare(rows: int, requests: Sequence[Rows], ours: Read, sdk: Read, sizes: Sizes) -> Figure:
    """Compare our processor time a row with the SDK's; both give the same values."""
    for sent in requests:
        require_equal(ours(sent), sdk(sent))
    sides = {"ours": block(ours, requests, rows), SDK: block(sdk, requests, rows)}
    return Figure.of_slices(f"reader_{rows}_vs_sdk", alternated(sides, sizes.blocks), "µs")


def block(read: Read, requests: Sequence[Rows], rows: int) -> Callable[[], float]:
    """Return a function that measures a row's processor time, in µs, in requests one by one."""

    def all_requests() -> None:
        for sent in requests:
            read(sent)

    return lambda: cpu_seconds(all_requests) / len(requests) / rows * 1e6


def require_equal(ours: Values, sdk: Values) -> None:
    """Raise AssertionError unless ours has each feature with the SDK's value, and none missing."""
    for name, values in ours.items():
        assert None not in values, f"{name} was not found"
        assert list(values) == list(sdk[name]), f"{name} differs"
