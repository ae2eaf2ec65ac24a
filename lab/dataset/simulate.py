"""Simulated data: a seeded shop's history, written range by range in bounded memory."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lab.dataset import shop
from lab.dataset.columns import id_column, time_column, transaction_id_column
from lab.dataset.draws import Flags, Floats, Integers
from lab.dataset.features import EPOCH, microseconds
from lab.dataset.manifest import Manifest, Simulation
from lab.dataset.population import Population
from lab.dataset.progress import track
from lab.dataset.release import release
from lab.dataset.tables import RAW_TABLES, TRUTH, TRUTH_SCHEMA, staging

PURCHASES_AT_ONCE = 400_000
LABEL = "fraud"


def simulate(
    data_dir: Path, *, transactions: int, seed: int, as_of: datetime, history: timedelta
) -> Manifest:
    """Replace the dataset in data_dir by a simulated one of about that many transactions."""
    start = (as_of - history).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    simulation = Simulation(transactions=transactions, seed=seed, history=history)
    return write_dataset(data_dir, simulation, start, as_of, replace=True)


def write_dataset(
    data_dir: Path, simulation: Simulation, start: datetime, as_of: datetime, *, replace: bool
) -> Manifest:
    """Write the events from start until as_of, the features and the manifest; then publish them."""
    with staging(data_dir) as stage:
        write_events(stage, simulation, start, as_of)
        described = Manifest(
            name="simulated", simulation=simulation, start=start, as_of=as_of, label=LABEL
        )
        return release(described, stage, data_dir, replace=replace)


def write_events(folder: Path, simulation: Simulation, start: datetime, as_of: datetime) -> None:
    """Write the four raw tables, and the truth that they do not show."""
    first, end = microseconds(start - EPOCH), microseconds(as_of - EPOCH)
    days = range(first // shop.DAY - 1, end // shop.DAY + 2)
    people = Population(simulation.seed, simulation.transactions, simulation.an_hour, days)
    hours_at_once = max(24, int(PURCHASES_AT_ONCE / simulation.an_hour))
    ranges = [
        (begin, min(begin + hours_at_once * shop.HOUR, end))
        for begin in range(first, end, hours_at_once * shop.HOUR)
    ]
    later = LaterEvents(end)
    with (
        table_writer(folder, "transactions") as transactions,
        table_writer(folder, "product_views") as product_views,
        pq.ParquetWriter(folder / f"{TRUTH}.parquet", TRUTH_SCHEMA, compression="zstd") as truth,
    ):
        for begin, until in track(ranges, "simulating"):
            bought = shop.purchases(people, hours_around(begin, until))
            seen = shop.views(people, bought)
            product_views.write_table(view_table(seen, begin, until))
            bought = bought.take((bought.time >= begin) & (bought.time < until))
            follows = shop.outcomes(people, bought)
            transactions.write_table(transaction_table(bought, follows, end))
            truth.write_table(truth_table(bought))
            later.add(bought, follows)
    later.write(folder)


def hours_around(begin: int, until: int) -> Integers:
    """Return the hours of all purchases that can cause an event between two times."""
    return np.arange(
        begin // shop.HOUR - shop.LONGEST_BURST_HOURS,
        -(-until // shop.HOUR) + shop.LONGEST_VIEW_HOURS,
    )


def table_writer(folder: Path, table: str) -> pq.ParquetWriter:
    repetitive = [name for name in RAW_TABLES[table].names if name != "transaction_id"]
    return pq.ParquetWriter(
        folder / f"{table}.parquet",
        RAW_TABLES[table],
        compression="zstd",
        use_dictionary=repetitive,
    )


def transaction_table(bought: shop.Purchases, follows: shop.Outcomes, end: int) -> pa.Table:
    """Return the transactions; a label that is not known before the end is null, as is its time."""
    labels = shop.labels(bought, follows, end)
    columns = [
        transaction_id_column(bought.key),
        id_column("user", bought.user),
        id_column("merchant", bought.merchant),
        id_column("product", bought.product),
        time_column(bought.time),
        pa.array(bought.amount),
        pa.array(bought.approved),
        pa.array(labels.fraud.astype(np.int64), mask=~labels.known),
        time_column(labels.time, ~labels.known),
    ]
    return pa.Table.from_arrays(columns, schema=RAW_TABLES["transactions"])


def truth_table(bought: shop.Purchases) -> pa.Table:
    columns = [
        transaction_id_column(bought.key),
        pa.array(bought.fraud),
        pa.array(shop.KINDS).take(pa.array(bought.kind)),
    ]
    return pa.Table.from_arrays(columns, schema=TRUTH_SCHEMA)


def view_table(seen: shop.Views, begin: int, until: int) -> pa.Table:
    rows = slice(*np.searchsorted(seen.time, [begin, until]))
    columns = [
        id_column("user", seen.user[rows]),
        id_column("product", seen.product[rows]),
        time_column(seen.time[rows]),
    ]
    return pa.Table.from_arrays(columns, schema=RAW_TABLES["product_views"])


@dataclass
class LaterEvents:
    """Chargebacks and refunds known before the end: few, so memory holds them until the end."""

    end: int
    parts: dict[str, list[pa.Table]] = field(
        default_factory=lambda: {"chargebacks": [], "refunds": []}
    )

    def add(self, bought: shop.Purchases, follows: shop.Outcomes) -> None:
        self._add(
            "chargebacks", bought, follows.charged_back, follows.chargeback_time, bought.amount
        )
        self._add("refunds", bought, follows.refunded, follows.refund_time, follows.refund_amount)

    def _add(
        self,
        table: str,
        bought: shop.Purchases,
        happens: Flags,
        time: Integers,
        amount: Floats,
    ) -> None:
        known = happens & (time < self.end)
        columns = [
            transaction_id_column(bought.key[known]),
            id_column("merchant", bought.merchant[known]),
            time_column(time[known]),
            pa.array(amount[known]),
        ]
        self.parts[table].append(pa.Table.from_arrays(columns, schema=RAW_TABLES[table]))

    def write(self, folder: Path) -> None:
        for table, parts in self.parts.items():
            by_time = [("event_timestamp", "ascending"), ("transaction_id", "ascending")]
            with table_writer(folder, table) as writer:
                writer.write_table(pa.concat_tables(parts).sort_by(by_time))
