"""PR-AUC of simple features, each alone: no column of the raw tables may reveal fraud.

Run it with `python -m benchmarks.single`. It reads the raw tables in the data folder and prints the
ten features that rank labelled fraud best. Each feature of a payment is computed from the payment
itself and from events strictly before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.harness.figures import Figure
from lab.dataset.manifest import Simulation
from lab.dataset.simulate import write_events
from lab.errors import UserError, run_script
from lab.settings import settings

AS_OF = datetime(2026, 3, 2, 9, tzinfo=UTC)
BEST = 10
CHANCE = "chance"
SECOND = 1_000_000  # in microseconds, as all times here
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
EVER = 400 * DAY  # longer than any history here
WINDOWS = {"5m": HOUR // 12, "1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "ever": EVER}
KEYS_OF = {
    "transactions": ("user", "merchant", "product", "user+merchant", "user+product"),
    "product_views": ("user", "product", "user+product"),
    "chargebacks": ("user", "merchant", "product"),
    "refunds": ("user", "merchant", "product"),
}

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Feature = tuple[str, Floats]


@dataclass(frozen=True)
class History:
    """The events of one table by one key, and the key and the time of each payment."""

    events: Integers  # the key's code times EVER plus the time, sorted
    sums: dict[str, Floats]  # running sums over the events, each with a 0 before the first
    codes: Integers
    times: Integers

    def places(self, window: int) -> tuple[Integers, Integers]:
        """Return the first event in the window before each payment, and the first one after it."""
        begin = self.codes * EVER
        first = np.searchsorted(self.events, begin + np.maximum(self.times - window, 0))
        return first, np.searchsorted(self.events, begin + self.times)

    def count(self, window: int) -> Floats:
        first, end = self.places(window)
        return (end - first).astype(np.float64)

    def sum(self, column: str, window: int) -> Floats:
        first, end = self.places(window)
        total: Floats = self.sums[column][end] - self.sums[column][first]
        return total

    def age(self) -> Floats:
        """Return the time since the newest event; NaN without one."""
        first, end = self.places(EVER)
        newest = self.events[np.maximum(end - 1, 0)] - self.codes * EVER
        return np.where(end > first, self.times - newest, np.nan)


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the raw tables; each row gets the columns of its transaction, and `time` from 0 on."""
    if not (folder / "transactions.parquet").exists():
        raise UserError(f"no data yet: {folder}", "lab data simulate")
    tables = {table: read(folder / f"{table}.parquet") for table in KEYS_OF}
    start = min(table["event_timestamp"].min() for table in tables.values())
    payments = tables["transactions"].assign(declined=lambda rows: ~rows["is_approved"])
    for table in ("chargebacks", "refunds"):
        later = tables[table][["transaction_id", "event_timestamp"]]
        paid = payments.drop(columns="event_timestamp")
        tables[table] = later.merge(paid, on="transaction_id", validate="one_to_one")
    tables["transactions"] = payments
    for rows in tables.values():
        since = (rows["event_timestamp"] - start) // pd.Timedelta(microseconds=1)
        rows["time"] = since.astype(np.int64)
    return tables


def read(file: Path) -> pd.DataFrame:
    """Read a raw table; the ids of users, merchants and products become their numbers."""
    rows = pd.read_parquet(file)
    for kind in ("user", "merchant", "product"):
        if (column := f"{kind}_id") in rows:
            rows[column] = rows[column].str.removeprefix(f"{kind}_").astype(np.int64)
    return rows


def history(payments: pd.DataFrame, events: pd.DataFrame, key: str) -> History:
    columns = [f"{part}_id" for part in key.split("+")]
    wanted = pd.MultiIndex.from_frame(payments[columns])
    known = wanted.unique()
    code = known.get_indexer(pd.MultiIndex.from_frame(events[columns])).astype(np.int64)
    events = events.assign(packed=code * EVER + events["time"])[code >= 0].sort_values("packed")
    sums = {
        column: np.append(0.0, events[column].to_numpy(np.float64).cumsum())
        for column in ("amount", "declined")
        if column in events
    }
    codes = known.get_indexer(wanted).astype(np.int64)
    return History(events["packed"].to_numpy(), sums, codes, payments["time"].to_numpy(np.int64))


def features(tables: dict[str, pd.DataFrame], payments: pd.DataFrame) -> Iterator[Feature]:
    """Yield presence, counts, ages and ratios of each table and key, and the payment's own."""
    yield from own_features(payments)
    for table, keys in KEYS_OF.items():
        for key in keys:
            past = history(payments, tables[table], key)
            counts = {window: past.count(length) for window, length in WINDOWS.items()}
            named = f"{table} of the {key}"
            for window, count in counts.items():
                yield f"{named}: count {window}", count
            yield f"{named}: present", (counts["ever"] > 0).astype(np.float64)
            yield f"{named}: age", past.age()
            for short, long in (("1h", "24h"), ("24h", "30d"), ("7d", "ever")):
                yield f"{named}: count {short} / count {long}", ratio(counts[short], counts[long])
            if table == "transactions":
                yield from payment_features(named, past, counts, payments["amount"].to_numpy())


def payment_features(
    named: str, past: History, counts: dict[str, Floats], amount: Floats
) -> Iterator[Feature]:
    """Yield amounts and declines of the same key before the payment."""
    for window in ("1h", "30d", "ever"):
        mean = ratio(past.sum("amount", WINDOWS[window]), counts[window])
        yield f"{named}: amount / mean amount {window}", ratio(amount, mean)
    for window in ("1h", "24h"):
        yield f"{named}: declined {window}", past.sum("declined", WINDOWS[window])
        yield f"{named}: amount {window}", past.sum("amount", WINDOWS[window])
    share = ratio(past.sum("declined", EVER), counts["ever"])
    yield f"{named}: declined share", share


def own_features(payments: pd.DataFrame) -> Iterator[Feature]:
    """Yield what the payment's own row shows, and a constant: its score is chance."""
    time = payments["event_timestamp"].dt
    yield CHANCE, np.zeros(len(payments))
    yield "amount", payments["amount"].to_numpy()
    yield "cents of the amount", (payments["amount"] * 100 % 100).round().to_numpy()
    yield "hour", time.hour.to_numpy(np.float64)
    yield "weekday", time.weekday.to_numpy(np.float64)
    yield "day of the month", time.day.to_numpy(np.float64)
    for column in ("user_id", "merchant_id", "product_id"):
        yield f"number in {column}", payments[column].to_numpy(np.float64)


def ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def pr_auc_alone(labels: Integers, values: Floats) -> float:
    """Return the PR-AUC of the best order: ascending or descending, missing first or last."""
    known, group = np.unique(values, return_inverse=True)  # NaN is one value, and the last
    rows, positives = np.bincount(group), np.bincount(group, weights=labels)
    ascending = np.arange(len(known))
    orders = [ascending, ascending[::-1]]
    if np.isnan(known[-1]):
        orders += [np.roll(ascending, 1), np.roll(ascending[::-1], -1)]
    return max(average_precision(rows[order], positives[order]) for order in orders)


def average_precision(rows: Integers, positives: Floats) -> float:
    """Of groups of equal scores, the highest first: how many rows, and how many are positive."""
    precision = positives.cumsum() / rows.cumsum()
    return float((precision * positives).sum() / positives.sum())


def scan(folder: Path) -> pd.Series:
    """Return the PR-AUC of each feature by its name, the best first."""
    tables = read_tables(folder)
    rows = tables["transactions"]
    mature = rows["event_timestamp"] < rows["event_timestamp"].max() - settings.label_maturity
    warm = rows["event_timestamp"] >= rows["event_timestamp"].min() + settings.warm_up
    payments = rows[rows["label"].notna() & mature & warm]
    labels = payments["label"].to_numpy(np.int64)
    scores = {name: pr_auc_alone(labels, values) for name, values in features(tables, payments)}
    return pd.Series(scores).sort_values(ascending=False)


@dataclass(frozen=True)
class Sizes:
    """Payments of the simulated shop."""

    transactions: int = settings.transactions


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Yield the PR-AUC of the best single feature of a simulated shop."""
    simulation = Simulation(
        transactions=sizes.transactions, seed=settings.seed, history=settings.history
    )
    with TemporaryDirectory() as folder:
        write_events(Path(folder), simulation, AS_OF - settings.history, AS_OF)
        scores = scan(Path(folder)).drop(CHANCE)
    yield Figure("single_feature_pr_auc_max", float(scores.max()), "PR-AUC")


def main() -> None:
    scores = scan(settings.data_dir)
    console = Console()
    chance = scores.pop(CHANCE)
    console.print(
        f"PR-AUC of {len(scores)} features, each alone; by chance {chance:.3f}; the best {BEST}:"
    )
    for name, score in scores.head(BEST).items():
        console.print(f"  {score:.3f}  {name}", highlight=False)


if __name__ == "__main__":
    run_script(main)
