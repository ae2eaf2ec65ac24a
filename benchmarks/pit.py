"""Point-in-time joins: through Feast with either offline store, and written by hand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

from benchmarks.harness.bare_join import NEWEST, duckdb_join, newest_duckdb, polars_join
from benchmarks.harness.child import in_child
from benchmarks.harness.figures import Figure
from benchmarks.harness.stores import FEASTS, OURS, Stores, open_store, references
from benchmarks.harness.timing import alternated, seconds
from benchmarks.harness.workload import Snapshots, read_payments, write_payments, write_snapshots

FEAST, BARE = "Feast's duckdb store", "the bare join"


@dataclass(frozen=True)
class Sizes:
    """Keys, days and repeats; payments by what the figures call their number."""

    users: int = 10_000
    merchants: int = 1_000
    days: int = 60
    other_days: Sequence[int] = (1, 10, 500)
    in_memory: Mapping[str, int] = field(default_factory=lambda: {"100k": 100_000, "1m": 1_000_000})
    in_files: Mapping[str, int] = field(
        default_factory=lambda: {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
    )
    repeats: int = 5


Join = Callable[[], pd.DataFrame]


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure against Feast's duckdb store and the bare join, then memory and growth."""
    with TemporaryDirectory(prefix="bench_pit_") as temporary:
        folder = Path(temporary)
        tables = write_tables(sizes, sizes.days, folder)
        for name, rows in sizes.in_memory.items():
            payments = make_payments(rows, sizes, sizes.days, folder)
            yield against_feast(f"pit_{name}_vs_feast_duckdb", payments, tables, sizes, folder)
        yield against_bare(f"pit_{name}_vs_bare", payments, tables, sizes, folder)
        yield from file_to_file(tables, sizes, folder)
    for days in sizes.other_days:
        with TemporaryDirectory(prefix="bench_pit_") as temporary:
            folder = Path(temporary)
            tables = write_tables(sizes, days, folder)
            payments = make_payments(rows, sizes, days, folder)
            figure = f"pit_{name}_of_{days}_snapshots_vs_bare"
            yield against_bare(figure, payments, tables, sizes, folder)


def write_tables(sizes: Sizes, days: int, folder: Path) -> list[Snapshots]:
    """Write daily snapshots of the users and the merchants."""
    keys = {"user": sizes.users, "merchant": sizes.merchants}
    return [write_snapshots(entity, count, count * days, folder) for entity, count in keys.items()]


def make_payments(rows: int, sizes: Sizes, days: int, folder: Path) -> pd.DataFrame:
    """Return entity rows of those users and merchants."""
    return read_payments(write_payments(rows, sizes.users, sizes.merchants, days, folder))


def through_feast(
    stores: Stores, payments: pd.DataFrame, tables: Sequence[Snapshots], folder: Path
) -> Join:
    """Return the join as a user of Feast runs it."""
    store, features = open_store(stores, tables, folder), references(tables)
    return lambda: store.get_historical_features(payments, features).to_df()


def against_feast(
    name: str, payments: pd.DataFrame, tables: Sequence[Snapshots], sizes: Sizes, folder: Path
) -> Figure:
    """Compare our store's time with Feast's; both give the same values."""
    sides = {
        "ours": through_feast(OURS, payments, tables, folder),
        FEAST: through_feast(FEASTS, payments, tables, folder),
    }
    require_equal([join() for join in sides.values()])
    timers = {side: timer(join) for side, join in sides.items()}
    return Figure.of_slices(name, alternated(timers, sizes.repeats), "s")


def against_bare(
    name: str, payments: pd.DataFrame, tables: Sequence[Snapshots], sizes: Sizes, folder: Path
) -> Figure:
    """Compare our store's time with the best of three joins written by hand."""
    sides = {
        "ours": through_feast(OURS, payments, tables, folder),
        f"{BARE} in DuckDB": lambda: duckdb_join(payments, tables),
        f"{BARE} in polars": lambda: polars_join(payments, tables),
    }
    with newest_duckdb(payments, tables, folder) as (newest, answer):
        require_equal([*(join() for join in sides.values()), answer])
        timers = {side: timer(join) for side, join in sides.items()}
        timers[f"{BARE} in DuckDB {NEWEST}"] = newest
        return Figure.of_slices(name, alternated(timers, sizes.repeats), "s")


def timer(join: Join) -> Callable[[], float]:
    """Return a function that measures one run of a join."""
    return lambda: seconds(join)


def require_equal(answers: Sequence[pd.DataFrame]) -> None:
    """Raise AssertionError unless all answers hold the same values; Feast may reorder the rows."""
    first, *others = [answer.sort_values("payment", ignore_index=True) for answer in answers]
    for other in others:
        pd.testing.assert_frame_equal(
            first, other[list(first.columns)], check_dtype=False, check_exact=True
        )


def file_to_file(tables: Sequence[Snapshots], sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Measure time and peak memory of joins from Parquet to Parquet, each of ten times the rows."""
    for name, rows in sizes.in_files.items():
        payments = write_payments(rows, sizes.users, sizes.merchants, sizes.days, folder)
        cost = in_child(persist_join, payments, tables, folder)
        yield Figure(f"pit_{name}_file_to_file_s", cost.seconds, "s")
        yield Figure(f"pit_{name}_peak_gib", cost.peak_gib, "GiB")


def persist_join(payments: Path, tables: Sequence[Snapshots], folder: Path) -> None:
    """Join the payments of a file into a file next to it, by our store."""
    entities = f"SELECT * FROM read_parquet('{payments}')"
    job = open_store(OURS, tables, folder).get_historical_features(entities, references(tables))
    joined = folder / f"joined_{payments.name}"
    job.persist(SavedDatasetFileStorage(str(joined)))
    joined.unlink()
