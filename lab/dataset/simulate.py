"""Simulated data: a seeded shop's history, written range by range in bounded memory."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lab.dataset import shop
from lab.dataset.draws import Flags, Integers, Keys
from lab.dataset.features import EPOCH, microseconds
from lab.dataset.manifest import Manifest, Simulation
from lab.dataset.population import Population
from lab.dataset.progress import track
from lab.dataset.release import release
from lab.dataset.tables import RAW_TABLES, TRUTH, TRUTH_SCHEMA, UTC_MICROSECONDS, staging

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
    later: dict[str, list[pa.Table]] = {"chargebacks": [], "refunds": []}
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
            for table, rows in later_events(bought, follows).items():
                later[table].append(rows.filter(pc.field("event_timestamp") < as_of))
    for table, parts in later.items():  # few, so memory holds them until the end
        by_time = [("event_timestamp", "ascending"), ("transaction_id", "ascending")]
        with table_writer(folder, table) as writer:
            writer.write_table(pa.concat_tables(parts).sort_by(by_time))


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


def later_events(bought: shop.Purchases, follows: shop.Outcomes) -> dict[str, pa.Table]:
    """Return the chargebacks and the refunds of purchases, however late."""
    kinds = {
        "chargebacks": (follows.charged_back, follows.chargeback_time, bought.amount),
        "refunds": (follows.refunded, follows.refund_time, follows.refund_amount),
    }
    tables = {}
    for table, (happens, time, amount) in kinds.items():
        columns = [
            transaction_id_column(bought.key[happens]),
            id_column("merchant", bought.merchant[happens]),
            time_column(time[happens]),
            pa.array(amount[happens]),
        ]
        tables[table] = pa.Table.from_arrays(columns, schema=RAW_TABLES[table])
    return tables


def id_column(kind: str, numbers: Integers) -> pa.Array:
    """Return ids such as user_0, user_1."""
    return pc.binary_join_element_wise(kind, pa.array(numbers).cast(pa.string()), "_")


def transaction_id_column(keys: Keys) -> pa.Array:
    """Return txn_ and the key's 16 hexadecimal digits."""
    digits = np.frombuffer(keys.astype(">u8").tobytes().hex().encode(), dtype="S16")
    return pc.binary_join_element_wise("txn", pa.array(digits).cast(pa.string()), "_")


def time_column(microseconds: Integers, unknown: Flags | None = None) -> pa.Array:
    """Return microseconds since 1970 as UTC timestamps."""
    return pa.array(microseconds, mask=unknown).cast(UTC_MICROSECONDS)
