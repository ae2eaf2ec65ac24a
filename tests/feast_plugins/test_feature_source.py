"""A source that is not as declared: one sentence names view, file and column, before any write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore
from feast.data_format import DeltaFormat
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.types import Array, Bool, Int32, Int64, String, UnixTimestamp

from feast_plugins.feature_source import SourceError
from tests.feast_plugins.asof_repo import (
    ROWS,
    at,
    entities,
    feature_view,
    online,
    open_store,
    source,
    values,
    write_rows,
)


def store_with(
    folder: Path, declared: Any = Int64, path: str = "rows.parquet", **options: Any
) -> FeatureStore:
    file = source(path, **options)
    return open_store(folder, feature_view("v", file, features={"value": declared}))


def assert_refused(store: FeatureStore, *words: str) -> None:
    """Assert that a query of features is rejected before anything is written."""
    saved = Path(store.config.repo_path) / "saved.parquet"
    storage = SavedDatasetFileStorage(str(saved))
    with pytest.raises(SourceError) as refused:
        store.get_historical_features(entities(("a", 2)), ["v:value"]).persist(storage)
    assert not saved.exists()
    for word in ("v: ", "rows.parquet", *words):
        assert word in str(refused.value)


def without(*columns: str) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name not in columns} for row in ROWS]


@pytest.mark.parametrize("column", ["user_id", "event_timestamp", "created", "value"])
def test_a_missing_column(tmp_path: Path, column: str) -> None:
    write_rows(tmp_path / "rows.parquet", without(column))
    store = store_with(tmp_path)
    assert_refused(store, f"has no column {column}")
    with pytest.raises(SourceError, match=f"has no column {column}"):
        store.materialize(at(0), at(9))


def test_a_missing_column_is_named_as_the_file_would(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", without("value"))
    assert_refused(store_with(tmp_path, field_mapping={"val": "value"}), "has no column val")


@pytest.mark.parametrize(
    ("declared", "stored", "value"),
    [
        (Int64, pa.string(), "1"),
        (String, pa.float64(), 1.0),
        (Bool, pa.float64(), 1.0),
        (UnixTimestamp, pa.string(), "2026-01-01"),
        (Int64, pa.list_(pa.int64()), [1]),
        (Array(Int64), pa.int64(), 1),
        (Array(String), pa.list_(pa.float64()), [1.0]),
    ],
    ids=str,
)
def test_a_column_of_another_kind(
    tmp_path: Path, declared: Any, stored: pa.DataType, value: Any
) -> None:
    rows = [{**row, "value": value} for row in ROWS]
    write_rows(tmp_path / "rows.parquet", rows, value=stored)
    assert_refused(store_with(tmp_path, declared), str(stored)[:5], "declared as")


@pytest.mark.parametrize(("value", "stored"), [(2**40, pa.int64()), (1.5, pa.float64())], ids=str)
def test_a_value_that_has_no_place_in_the_declared_type(
    tmp_path: Path, value: float, stored: pa.DataType
) -> None:
    rows = [{**row, "value": value} for row in ROWS]
    write_rows(tmp_path / "rows.parquet", rows, value=stored)
    assert_refused(store_with(tmp_path, Int32), "value")


@pytest.mark.parametrize("column", ["event_timestamp", "created"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.float64()], ids=str)
def test_times_that_are_none(tmp_path: Path, column: str, kind: pa.DataType) -> None:
    rows = [{**row, column: None} for row in ROWS]
    write_rows(tmp_path / "rows.parquet", rows, **{column: kind})
    assert_refused(store_with(tmp_path), f"{column} of", f"{kind}, not a timestamp")


def damaged(file: Path) -> None:
    """Write a file whose end is whole, so that it opens; its rows are damaged."""
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 3] = b"\xff" * (len(content) // 3 - 4)
    file.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.unlink(),
        lambda file: file.write_text("not Parquet"),
        lambda file: file.write_bytes(file.read_bytes()[:-9]),
        damaged,
    ],
    ids=["no file", "no Parquet", "cut off", "damaged"],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    rows = [{**row, "value": number} for number, row in enumerate(ROWS * 500)]
    spoil(write_rows(tmp_path / "rows.parquet", rows))
    assert_refused(store_with(tmp_path), "cannot be read")


def test_a_file_without_rows_gives_nulls(tmp_path: Path) -> None:
    """As in Feast's own stores: `feast init` makes such a file for its label view."""
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    store = store_with(tmp_path)
    assert values(store, entities(("a", 2))) == [None]
    store.materialize(at(0), at(9))
    assert online(store, "a") == [None]


def test_a_folder_is_as_good_as_its_worst_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet" / "1.parquet", ROWS)
    write_rows(tmp_path / "rows.parquet" / "2.parquet", without("value"))
    assert_refused(store_with(tmp_path), "2.parquet has no column value")
    words = [{**row, "value": "one"} for row in ROWS]
    write_rows(tmp_path / "rows.parquet" / "2.parquet", words, value=pa.string())
    assert_refused(
        store_with(tmp_path), "2.parquet is string, declared as Int64; ", "1.parquet has int64"
    )
    (tmp_path / "rows.parquet" / "2.parquet").write_text("not Parquet")
    assert_refused(store_with(tmp_path), "2.parquet cannot be read")


def test_a_folder_without_files(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").mkdir()
    assert_refused(store_with(tmp_path), "has no files")


def test_a_source_that_is_no_parquet(tmp_path: Path) -> None:
    assert_refused(store_with(tmp_path, file_format=DeltaFormat()), "is not Parquet")


def test_a_source_elsewhere(tmp_path: Path) -> None:
    assert_refused(store_with(tmp_path, path="gs://shop/rows.parquet"), "a path, or s3://")
