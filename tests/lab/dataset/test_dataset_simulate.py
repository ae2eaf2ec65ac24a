"""The simulator: the same bytes, the same history to a later as-of, fraud that can be learned."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lab.dataset import manifest, shop
from lab.dataset.advance import advance
from lab.dataset.importer import import_table
from lab.dataset.manifest import Manifest
from lab.dataset.mapping import ImportOptions
from lab.dataset.population import Population
from lab.dataset.simulate import hours_around, simulate
from lab.dataset.tables import FEATURE_TABLES, RAW_TABLES, TRUTH
from lab.errors import UserError

pytestmark = pytest.mark.slow

AS_OF = datetime(2026, 3, 2, 9, tzinfo=UTC)
HISTORY = timedelta(days=45)
LATER = timedelta(days=1, hours=3)


def make(
    folder: Path, as_of: datetime = AS_OF, seed: int = 7, history: timedelta = HISTORY
) -> Manifest:
    return simulate(folder, transactions=6_000, seed=seed, as_of=as_of, history=history)


def read(folder: Path, table: str) -> pd.DataFrame:
    return pq.read_table(folder / f"{table}.parquet").to_pandas()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make(folder)
    return folder


def test_only_the_same_seed_and_as_of_give_the_same_bytes(data: Path, tmp_path: Path) -> None:
    assert make(tmp_path, seed=8).id != manifest.read(data).id
    make(tmp_path)
    names = {file.name for file in data.iterdir()}
    tables = (*RAW_TABLES, *FEATURE_TABLES, TRUTH)
    assert names == {f"{table}.parquet" for table in tables} | {"dataset.json"}
    for name in names:
        assert (data / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_a_range_of_hours_comes_out_the_same_made_at_once_or_piece_by_piece() -> None:
    """Thefts, errands and retries end in a later hour than they began; views come earlier."""
    first = 20_000 * shop.DAY
    people = Population(seed=7, transactions=200_000, an_hour=2_000, days=range(19_999, 20_003))

    def made(begin: int, until: int) -> tuple[shop.Purchases, list[int]]:
        bought = shop.purchases(people, hours_around(begin, until))
        seen = shop.views(people, bought).time
        of_range = bought.take((bought.time >= begin) & (bought.time < until))
        return of_range, seen[(seen >= begin) & (seen < until)].tolist()

    hours = [first + hour * shop.HOUR for hour in range(25)]
    pieces = [made(begin, until) for begin, until in pairwise(hours)]
    bought, seen = made(first, hours[-1])
    for column in fields(shop.Purchases):
        parts = [getattr(piece, column.name) for piece, _ in pieces]
        assert np.array_equal(getattr(bought, column.name), np.concatenate(parts)), column.name
    assert seen == [time for _, piece in pieces for time in piece]


def test_tables_are_typed_sorted_and_end_before_the_as_of(data: Path) -> None:
    for table, schema in RAW_TABLES.items():
        assert pq.read_schema(data / f"{table}.parquet").equals(schema)
        rows = read(data, table)
        assert rows["event_timestamp"].between(AS_OF - HISTORY, AS_OF, inclusive="left").all()
        by = [name for name in ("event_timestamp", "transaction_id") if name in rows]
        assert rows[by].equals(rows[by].sort_values(by, ignore_index=True))
    transactions = read(data, "transactions")
    assert transactions["transaction_id"].is_unique
    assert np.array_equal(transactions["amount"], (transactions["amount"] * 100).round() / 100)
    known = read(data, "chargebacks").merge(transactions, on="transaction_id")
    assert len(known) == len(read(data, "chargebacks"))
    assert (known["event_timestamp_x"] > known["event_timestamp_y"]).all()


def test_a_late_chargeback_changes_an_honest_label(tmp_path: Path) -> None:
    months = timedelta(days=90)
    make(tmp_path, history=months)
    before = read(tmp_path, "transactions")
    advance(tmp_path, timedelta(days=20))
    after = read(tmp_path, "transactions")[: len(before)]
    changed = before["label"].notna() & (before["label"] != after["label"])
    assert 0 < changed.sum() < 20
    assert (before.loc[changed, "label"] == 0).all()
    assert (after.loc[changed, "label_timestamp"] >= AS_OF).all()
    others = before["label"].notna() & ~changed
    pd.testing.assert_frame_equal(before[others], after[others])


def test_the_truth_stays_out_of_the_raw_tables(data: Path, tmp_path: Path) -> None:
    """Raw tables are copied into every submission."""
    truth = read(data, TRUTH)
    assert TRUTH not in RAW_TABLES
    assert truth["transaction_id"].equals(read(data, "transactions")["transaction_id"])
    make(tmp_path)
    file = tmp_path / "theirs.csv"
    file.write_text("user_id,event_timestamp,amount\na,2026-01-05T10:00:00Z,1\n")
    import_table(tmp_path, file, ImportOptions())
    assert not (tmp_path / f"{TRUTH}.parquet").exists()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a dataset to a later as-of."""
    folder = tmp_path_factory.mktemp("fresh")
    make(folder, AS_OF + LATER)
    return folder


@pytest.mark.parametrize("table", list(RAW_TABLES))
def test_a_fresh_dataset_to_a_later_as_of_agrees_where_they_overlap(
    data: Path, fresh: Path, table: str
) -> None:
    start = AS_OF + LATER - HISTORY
    earlier, later = read(data, table), read(fresh, table)
    earlier = earlier[earlier["event_timestamp"] >= start]
    later = later[later["event_timestamp"] < AS_OF]
    if table in ("chargebacks", "refunds"):  # of transactions that both know
        shared = read(fresh, "transactions")["transaction_id"]
        earlier = earlier[earlier["transaction_id"].isin(shared)]
    if table == "transactions":
        known = earlier["label"].notna().to_numpy()
        known &= (later["label_timestamp"] < AS_OF).to_numpy()  # else charged back late
        pd.testing.assert_frame_equal(
            earlier[known].reset_index(drop=True), later[known].reset_index(drop=True)
        )
        earlier, later = earlier.iloc[:, :7], later.iloc[:, :7]
    assert len(earlier) > 30
    pd.testing.assert_frame_equal(earlier.reset_index(drop=True), later.reset_index(drop=True))


@pytest.fixture(scope="module")
def advanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advanced")
    make(folder)
    (folder / "registry.db").write_text("of this dataset")
    after = advance(folder, LATER)
    assert (after.start, after.as_of) == (AS_OF - HISTORY, AS_OF + LATER)
    assert after == manifest.read(folder)
    return folder


@pytest.mark.parametrize("table", [*RAW_TABLES, *FEATURE_TABLES])
def test_advance_only_appends(data: Path, advanced: Path, table: str) -> None:
    before, after = read(data, table), read(advanced, table)
    known = "created_timestamp" if table in FEATURE_TABLES else "event_timestamp"
    columns = [name for name in before if not name.startswith("label")]
    added = after[after[known] > AS_OF] if table in FEATURE_TABLES else after[after[known] >= AS_OF]
    old = after.drop(added.index)
    assert len(added) > 0
    pd.testing.assert_frame_equal(before[columns], old[columns].reset_index(drop=True))


def test_advance_keeps_the_registry_and_simulate_removes_it(advanced: Path, tmp_path: Path) -> None:
    assert (advanced / "registry.db").exists()
    (tmp_path / "registry.db").write_text("of an older dataset")
    make(tmp_path)
    assert not (tmp_path / "registry.db").exists()


def test_advance_moves_forward_only(data: Path) -> None:
    with pytest.raises(UserError, match="only moves forward"):
        advance(data, timedelta(0))
    with pytest.raises(UserError, match=r"no data yet.*\n.*lab data simulate"):
        advance(data / "nothing", timedelta(hours=1))


def test_fraud_is_a_mechanism(data: Path) -> None:
    rows = duckdb.sql(
        f"""SELECT label, amount / avg(amount) FILTER (label = 0) OVER (PARTITION BY user_id)
                    AS times_usual,
                count(*) OVER (PARTITION BY user_id ORDER BY event_timestamp RANGE BETWEEN
                    INTERVAL 15 MINUTE PRECEDING AND INTERVAL 15 MINUTE FOLLOWING) AS nearby,
                merchant_id
            FROM read_parquet('{data}/transactions.parquet')"""
    ).df()
    fraud, honest = rows[rows["label"] == 1], rows[rows["label"] == 0]
    assert 0.01 < len(fraud) / (len(fraud) + len(honest)) < 0.03
    assert fraud["times_usual"].median() > 3 * honest["times_usual"].median()
    assert fraud["nearby"].mean() > honest["nearby"].mean() + 2
    by_merchant = rows.groupby("merchant_id")["label"].mean()
    assert by_merchant.max() > 5 * by_merchant.median()


def test_users_differ(data: Path) -> None:
    users = read(data, "transactions").groupby("user_id")["amount"].agg(["size", "mean"])
    assert users["size"].max() > 5 * users["size"].median()
    assert users["mean"].quantile(0.9) > 2 * users["mean"].quantile(0.1)
