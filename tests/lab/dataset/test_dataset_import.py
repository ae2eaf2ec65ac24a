"""The importer: a table with its own names and time zone, and possible mistakes in it."""

import csv
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from lab.dataset import manifest
from lab.dataset.advance import advance
from lab.dataset.importer import import_complete_journey, import_table, write_baskets
from lab.dataset.manifest import Manifest
from lab.dataset.mapping import ImportOptions
from lab.dataset.session import connect
from lab.dataset.tables import RAW_TABLES
from lab.errors import UserError

AS_OF = datetime(2026, 3, 2, 9, tzinfo=UTC)
COLUMNS = {"user_id": "who", "merchant_id": "shop", "event_timestamp": "at", "amount": "paid"}
Row = dict[str, Any]

# Berlin: on 2025-10-26 02:00–03:00 happens twice, on 2025-03-30 not at all.
ROWS: list[Row] = [
    {"who": "zoe", "shop": "7", "product_id": "a", "at": "2025-03-30 01:59:00", "paid": "1.10"},
    {"who": "ann", "shop": "7", "product_id": "b", "at": "2025-03-30 02:30:00", "paid": "2.20"},
    {"who": "zoe", "shop": "9", "product_id": "a", "at": "2025-07-01 12:00:00", "paid": "0"},
    {"who": "bob", "shop": "9", "product_id": "c", "at": "2025-10-26 02:30:00", "paid": "3.30"},
    {"who": "bob", "shop": "7", "product_id": "a", "at": "2025-10-26 03:30:00", "paid": "150.5"},
]
MOMENTS = [
    datetime(2025, 3, 30, 0, 59, tzinfo=UTC),
    datetime(2025, 3, 30, 1, 30, tzinfo=UTC),
    datetime(2025, 7, 1, 10, tzinfo=UTC),
    datetime(2025, 10, 26, 0, 30, tzinfo=UTC),
    datetime(2025, 10, 26, 2, 30, tzinfo=UTC),
]


def write_csv(folder: Path, rows: list[Row]) -> Path:
    file = folder / "theirs.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def write_parquet(folder: Path, rows: list[Row]) -> Path:
    file = folder / "theirs.parquet"
    typed = [
        row | {"at": datetime.fromisoformat(row["at"]), "paid": float(row["paid"])} for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(typed), file)
    return file


def rows_of(folder: Path) -> list[Row]:
    table = pq.read_table(folder / "transactions.parquet")
    assert table.schema.equals(RAW_TABLES["transactions"])
    rows: list[Row] = table.to_pylist()
    return rows


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def load(data: Path, file: Path, **options: Any) -> Manifest:
    usual: dict[str, Any] = {"columns": COLUMNS, "as_of": AS_OF, "timezone": "Europe/Berlin"}
    given = usual | options
    reading = {
        field.name: given.pop(field.name) for field in fields(ImportOptions) if field.name in given
    }
    return import_table(data, file, ImportOptions(**reading), **given)


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_local_times_ids_and_stand_ins(
    data: Path, tmp_path: Path, write: Callable[[Path, list[Row]], Path]
) -> None:
    described = load(data, write(tmp_path, ROWS), label="paid > 100")
    rows = rows_of(data)
    assert [row["event_timestamp"] for row in rows] == MOMENTS
    assert described.resolved_local_hours == {"ambiguous": 1, "missing": 1}
    assert [row["user_id"] for row in rows] == ["user_0", "user_1", "user_0", "user_2", "user_2"]
    shops = ["merchant_0", "merchant_0", "merchant_1", "merchant_1", "merchant_0"]
    assert [row["merchant_id"] for row in rows] == shops
    assert [row["product_id"] for row in rows][1::2] == ["product_1", "product_2"]
    assert [row["amount"] for row in rows] == [1.1, 2.2, 0.0, 3.3, 150.5]
    assert [row["label"] for row in rows] == [0, 0, 0, 0, 1]
    assert all(row["label_timestamp"] == row["event_timestamp"] for row in rows)
    assert all(row["is_approved"] for row in rows)
    assert [row["transaction_id"] for row in rows] == [f"row_{number}" for number in range(1, 6)]
    assert described.absent == [
        *("product_views", "chargebacks", "refunds"),
        *("transactions.transaction_id", "transactions.is_approved"),
    ]
    assert "merchant_stats.chargeback_rate" in described.null_features
    stats = pq.read_table(data / "merchant_stats.parquet")
    assert stats["chargeback_rate"].null_count == len(stats) > 0
    assert manifest.read(data) == described


def test_old_times_move_by_whole_weeks_to_the_week_before_the_as_of(
    data: Path, tmp_path: Path
) -> None:
    described = load(data, write_csv(tmp_path, ROWS), shift_to_now=True)
    last = rows_of(data)[-1]["event_timestamp"]
    assert AS_OF - timedelta(weeks=1) <= last < AS_OF
    assert last - MOMENTS[-1] == timedelta(weeks=described.shifted_weeks)
    assert described.shifted_weeks == 18


def test_without_an_as_of_the_data_end_with_their_last_hour(data: Path, tmp_path: Path) -> None:
    described = load(data, write_csv(tmp_path, ROWS), as_of=None)
    assert described.as_of == datetime(2025, 10, 26, 3, tzinfo=UTC)


def test_advance_moves_on_while_events_lie_ahead(data: Path, tmp_path: Path) -> None:
    load(data, write_csv(tmp_path, ROWS), as_of=datetime(2025, 7, 2, tzinfo=UTC))
    assert len(rows_of(data)) == 3
    assert advance(data, timedelta(days=150)).rows["transactions"] == 5
    assert [row["event_timestamp"] for row in rows_of(data)] == MOMENTS
    with pytest.raises(UserError, match="no event after 2025-11-29"):
        advance(data, timedelta(hours=1))


def change(number: int, **changes: Any) -> list[Row]:
    return [row | changes if place == number else row for place, row in enumerate(ROWS)]


BAD: dict[str, tuple[list[Row], dict[str, Any], list[str]]] = {
    "missing column": (ROWS, {"columns": COLUMNS | {"amount": "price"}}, ["'price'", "who, shop"]),
    "unknown mapping": (ROWS, {"columns": {"users": "who"}}, ["'users'"]),
    "wrong type": (ROWS, {"columns": COLUMNS | {"amount": "who"}}, ["who", "5 of", "row 3: 'zoe'"]),
    "NaN": (change(3, paid="NaN"), {}, ["paid", "not a number", "row 4"]),
    "no zone": (ROWS, {"timezone": None}, ["at", "5 of", "without a time zone", "--timezone"]),
    "no such zone": (ROWS, {"timezone": "Mars/Base"}, ["Mars/Base"]),
    "duplicate ids": (ROWS, {"id_columns": ["who"]}, ["who", "4 of", "duplicate", "row 1: 'zoe'"]),
    "bad label": (ROWS, {"label": "coupons > 0"}, ["--label", "coupons"]),
    "label type": (ROWS, {"label": "shop || 'x'"}, ["--label"]),
    "all later": (ROWS, {"as_of": datetime(2024, 1, 1, tzinfo=UTC)}, ["--shift-to-now"]),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_input_is_named_and_the_old_data_stay(data: Path, tmp_path: Path, kind: str) -> None:
    load(data, write_csv(tmp_path, ROWS))
    before = {file.name: file.read_bytes() for file in data.iterdir()}
    rows, options, parts = BAD[kind]
    file = write_csv(tmp_path, rows)
    with pytest.raises(UserError) as refused:
        load(data, file, **options)
    for part in parts:
        assert part in str(refused.value)
    if kind not in ("unknown mapping", "no such zone"):
        assert str(file) in str(refused.value)
    assert {file.name: file.read_bytes() for file in data.iterdir()} == before


def test_at_most_three_examples(data: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path, [row | {"paid": "-1"} for row in ROWS])
    with pytest.raises(UserError, match="5 of its rows negative") as refused:
        load(data, file)
    assert str(refused.value).count("row ") == 3


@pytest.fixture(scope="module")
def groceries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("groceries")
    return folder, import_complete_journey(folder, AS_OF)


@pytest.mark.slow
def test_the_real_data(groceries: tuple[Path, Manifest]) -> None:
    folder, described = groceries
    rows = rows_of(folder)
    assert len(rows) == len({row["transaction_id"] for row in rows}) == 47_054
    assert sum(row["label"] for row in rows) == 1_013
    assert len({row["user_id"] for row in rows}) == 2_376
    assert all(row["label_timestamp"] == row["event_timestamp"] for row in rows)
    assert AS_OF - timedelta(weeks=1) <= rows[-1]["event_timestamp"] < AS_OF
    assert described.label == "a coupon was redeemed"
    assert not (folder / "product_views.parquet").exists()
    with pytest.raises(UserError, match="no event after"):
        advance(folder, timedelta(hours=1))


def test_the_amount_of_the_real_data_hardly_gives_the_label(
    groceries: tuple[Path, Manifest],
) -> None:
    rows = rows_of(groceries[0])
    amount, label = (np.array([row[name] for row in rows]) for name in ("amount", "label"))
    assert amount.min() > 0
    chance = label.mean()
    for scores in (amount, -amount):
        assert average_precision_score(label, scores) < 3 * chance


def test_a_basket_of_the_real_data_is_one_payment(tmp_path: Path) -> None:
    """Its amount is before coupons, its product the most valuable line's."""
    lines = tmp_path / "lines.parquet"
    line = {"household_id": "h", "store_id": "s", "transaction_timestamp": datetime(2017, 5, 5)}
    line |= {"coupon_disc": 0.0, "coupon_match_disc": 0.0}
    pq.write_table(
        pa.Table.from_pylist(
            [
                line | {"basket_id": "1", "product_id": "milk", "sales_value": 2.0},
                line | {"basket_id": "1", "product_id": "wine", "sales_value": 0.5}
                | {"coupon_disc": 2.0, "coupon_match_disc": 0.5},
                line | {"basket_id": "2", "product_id": "milk", "sales_value": 2.0},
                line | {"basket_id": "3", "product_id": "milk", "sales_value": 0.0},
            ]
        ),
        lines,
    )  # fmt: skip
    file = tmp_path / "baskets.parquet"
    with connect(tmp_path) as connection:
        write_baskets(connection, lines, file)
    names = ("basket_id", "product_id", "amount", "has_coupon")
    rows = [tuple(row[name] for name in names) for row in pq.read_table(file).to_pylist()]
    assert rows == [("1", "wine", 5.0, True), ("2", "milk", 2.0, False)]
