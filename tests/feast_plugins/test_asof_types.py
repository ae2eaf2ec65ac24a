"""Features of every Feast type, in each form that files store, compared with Feast's duckdb store.

The table of docs/plugins/asof_offline_store.md is generated from the cases here.
"""

from datetime import date, datetime
from decimal import Decimal as Number
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore
from feast.types import (
    Array,
    Bool,
    Bytes,
    Decimal,
    FeastType,
    Float32,
    Float64,
    ImageBytes,
    Int32,
    Int64,
    Json,
    Map,
    PdfBytes,
    ScalarMap,
    Set,
    String,
    Struct,
    UnixTimestamp,
    Uuid,
    ZonedTimestamp,
)

from feast_plugins.feature_source import SourceError
from feast_plugins.source_types import declared_type
from tests.feast_plugins.asof_repo import (
    DUCKDB,
    MICROSECONDS,
    OURS,
    at,
    entities,
    feature_view,
    online,
    open_store,
    source,
    write_rows,
)

PAGE = Path(__file__).parents[2] / "docs" / "plugins" / "asof_offline_store.md"
MOMENT = datetime(2026, 1, 1)
TEXTS = pa.map_(pa.string(), pa.string())
IN_UTC = pd.Timestamp(MOMENT, tz="UTC")
ID = str(UUID(int=7))
START = "TIMESTAMPTZ '2026-01-01 00:00:00+00'"


class Case(NamedTuple):
    """A declared type, the value of user a as stored, and what `to_df` has for it."""

    declared: FeastType
    value: Any
    stored: pa.DataType
    answer: Any = None  # where it differs from what duckdb's store gives: that of the file


CASES = {
    "map": Case(Map, [("a", "b")], TEXTS),
    "map_as_struct": Case(Map, {"a": "b"}, pa.struct([("a", pa.string())])),
    "map_as_text": Case(Map, '{"a": 1}', pa.string()),
    "json": Case(Json, '{"a": 1}', pa.string()),
    "json_as_struct": Case(Json, {"a": 1.5}, pa.struct([("a", pa.float64())])),
    "struct": Case(
        Struct({"n": String, "x": Float32}),
        {"x": 0.5, "n": "b"},
        pa.struct([("x", pa.float64()), ("n", pa.string())]),
    ),
    "structs": Case(
        Array(Struct({"a": String})), [{"a": "b"}], pa.list_(pa.struct([("a", pa.string())]))
    ),
    "maps": Case(Array(Map), [[("a", "b")]], pa.list_(TEXTS)),
    "jsons": Case(Array(Json), ["{}"], pa.list_(pa.string())),
    "lists": Case(Array(Array(Int64)), [[1, 2]], pa.list_(pa.list_(pa.int64()))),
    "set": Case(Set(Int64), [1, 2], pa.list_(pa.int64())),
    "fixed_size": Case(Array(Float32), [1.0, 2.0], pa.list_(pa.float32(), 2)),
    "null_in_list": Case(Array(Int64), [1, None], pa.list_(pa.int64())),
    "null_in_texts": Case(Array(String), ["a", None], pa.list_(pa.string())),
    "nan_in_list": Case(Array(Int64), [1.0, float("nan")], pa.list_(pa.float64())),
    "decimal": Case(Decimal, Number("1.50"), pa.decimal128(5, 2)),
    "decimal_as_text": Case(Decimal, "1.50", pa.string()),
    "decimals": Case(Array(Decimal), [Number("1.50")], pa.list_(pa.decimal128(5, 2))),
    "int_as_decimal": Case(Int64, Number("2.00"), pa.decimal128(5, 2), 2),
    "float_as_decimal": Case(Float64, Number("2.25"), pa.decimal128(5, 2), 2.25),
    "int_as_float": Case(Int64, 2.0, pa.float64()),
    "int_as_nan": Case(Int64, float("nan"), pa.float64()),
    "int_as_wide": Case(Int32, 7, pa.int64()),
    "int_as_narrow": Case(Int64, 7, pa.int32()),
    "float_as_wide": Case(Float32, 0.1, pa.float64(), float(np.float32(0.1))),
    "float_as_narrow": Case(Float64, 0.5, pa.float32()),
    "large_text": Case(String, "é", pa.large_string()),
    "encoded_text": Case(String, "é", pa.dictionary(pa.int8(), pa.string())),
    "floats_as_wide": Case(Array(Float32), [0.5, None], pa.list_(pa.float64())),
    "ints_as_wide": Case(Array(Int32), [7], pa.list_(pa.int64())),
    "large_texts": Case(Array(String), ["é"], pa.large_list(pa.large_string())),
    "nothing": Case(Int32, None, pa.null()),
    "int_as_bool": Case(Int32, True, pa.bool_(), 1),
    "text_as_int": Case(String, 7, pa.int64(), "7"),
    "bool_as_int": Case(Bool, 1, pa.int64(), True),
    "image": Case(ImageBytes, b"\x00", pa.binary()),
    "pdf": Case(PdfBytes, b"\x00", pa.large_binary()),
    "blobs": Case(Array(Bytes), [b"\x00"], pa.list_(pa.binary())),
    "fixed_bytes": Case(Bytes, b"ab", pa.binary(2)),
    "uuid": Case(Uuid, ID, pa.string()),
    "scalar_map": Case(ScalarMap, [(1, "b")], pa.map_(pa.int64(), pa.string())),
    "zoned": Case(ZonedTimestamp, MOMENT, pa.timestamp("us", "Asia/Tokyo")),
    "moment": Case(UnixTimestamp, MOMENT, pa.timestamp("ms", "Asia/Tokyo")),
    "moment_as_date": Case(UnixTimestamp, date(2026, 1, 1), pa.date32(), IN_UTC),
    "moment_as_seconds": Case(UnixTimestamp, 1767225600, pa.int64(), IN_UTC),
    "moments": Case(Array(UnixTimestamp), [MOMENT], pa.list_(pa.timestamp("us"))),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[FeatureStore]:
    """Open duckdb's store and ours on one view of all cases; user b has nulls."""
    folder = tmp_path_factory.mktemp("types")
    rows = {"user_id": ["a", "b"], "event_timestamp": pa.array([at(1)] * 2, MICROSECONDS)}
    for name, case in CASES.items():
        # pyarrow cannot read a null list of fixed size
        missing = case.value if pa.types.is_fixed_size_list(case.stored) else None
        rows[name] = pa.array([case.value, missing], case.stored)
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    features = {name: case.declared for name, case in CASES.items()}
    view = feature_view("v", source(folder / "rows.parquet", created=""), features=features)
    return [open_store(folder, view, offline=name) for name in (DUCKDB, OURS)]


@pytest.fixture(scope="module")
def answers(stores: list[FeatureStore]) -> list[pd.DataFrame]:
    references = [f"v:{name}" for name in CASES]
    rows = entities(("a", 2), ("b", 2), ("c", 2))
    jobs = [store.get_historical_features(rows, references) for store in stores]
    return [job.to_df().sort_values("user_id", ignore_index=True) for job in jobs]


def plain(value: Any) -> Any:
    """Return lists for arrays, None for missing values."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(item) for item in value]
    return None if value is None or value is pd.NaT or value != value else value


@pytest.mark.parametrize("name", CASES)
def test_a_feature_of_each_type(answers: list[pd.DataFrame], name: str) -> None:
    theirs, ours = ([plain(value) for value in frame[name]] for frame in answers)
    answer = CASES[name].answer
    if answer is None:
        assert ours == theirs
    else:
        assert (ours[0], theirs[0]) == (answer, CASES[name].value)
    assert ours[2] is None


@pytest.mark.parametrize("users", [["a", "b", "c"], ["c"]], ids=["some", "nobody"])
def test_types_are_as_declared_or_the_wider_ones_of_the_file(
    stores: list[FeatureStore], users: list[str]
) -> None:
    """Also where some or all rows are missing; Feast's own tests require the width of the file."""
    rows = entities(*((user, 2) for user in users))
    table = stores[1].get_historical_features(rows, [f"v:{name}" for name in CASES]).to_arrow()
    declared = {name: declared_type(case.declared) for name, case in CASES.items()}
    wider = ("int_as_wide", "float_as_wide", "floats_as_wide", "ints_as_wide")
    for name, kind in {**declared, **{name: CASES[name].stored for name in wider}}.items():
        assert kind in (None, table.schema.field(name).type)
        assert not table[name][-1].is_valid


def test_types_that_duckdb_reads_as_text_and_others_as_bytes(tmp_path: Path) -> None:
    """A file with a JSON, a UUID, and an INTERVAL that no feature reads."""
    row = f"'a' AS user_id, {START} AS event_timestamp, '{ID}'::UUID AS uuid, '{ID}'::UUID AS word"
    row += ", '{\"a\": 1}'::JSON AS json, INTERVAL 1 DAY AS unused"
    duckdb.sql(f"COPY (SELECT {row}) TO '{tmp_path / 'rows.parquet'}'")
    features = {"uuid": Uuid, "word": String, "json": Json}
    view = feature_view("v", source(tmp_path / "rows.parquet", created=""), features=features)
    for name in (DUCKDB, OURS):
        job = open_store(tmp_path, view, offline=name).get_historical_features(
            entities(("a", 2)), [f"v:{feature}" for feature in features]
        )
        assert job.to_df()[[*features]].to_numpy().tolist() == [[ID, ID, '{"a": 1}']]


def test_a_large_integer_keeps_its_digits(tmp_path: Path) -> None:
    row = {"user_id": "a", "event_timestamp": at(1), "created": at(1), "value": 2**53 + 1}
    view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", [row])))
    job = open_store(tmp_path, view).get_historical_features(entities(("a", 2)), ["v:value"])
    assert job.to_df()["value"].tolist() == [2**53 + 1]


def test_the_docs_have_a_row_for_each_case() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for case in CASES.values():
        answer = "as declared" if case.answer is not None else "the same"
        assert f"| `{case.declared}` | `{case.stored}` | {answer} |" in text


@pytest.mark.parametrize(
    ("stored", "value"), [(pa.float64(), 1.5), (pa.decimal128(5, 2), Number("1.50"))], ids=str
)
def test_a_fraction_for_a_whole_number_is_named(
    tmp_path: Path, stored: pa.DataType, value: Any
) -> None:
    rows = [
        {"user_id": "a", "event_timestamp": at(1), "created": at(1), "value": number}
        for number in (None, value)
    ]
    write_rows(tmp_path / "data" / "1.parquet", rows[:1], value=stored)
    write_rows(tmp_path / "data" / "2.parquet", rows[1:], value=stored)
    store = open_store(tmp_path, feature_view("v", source("data")))
    with pytest.raises(SourceError, match=r"v: .*2\.parquet .*1\.50?.* of value has no place"):
        store.get_historical_features(entities(("a", 2)), ["v:value"])


def test_nan_for_a_whole_number_is_null_offline_and_online(tmp_path: Path) -> None:
    row = {"user_id": "a", "event_timestamp": at(1), "created": at(1), "value": float("nan")}
    file = write_rows(tmp_path / "rows.parquet", [row], value=pa.float64())
    store = open_store(tmp_path, feature_view("v", source(file)))
    job = store.get_historical_features(entities(("a", 2)), ["v:value"])
    assert job.to_arrow()["value"].null_count == 1
    store.materialize(at(0), at(9))
    assert online(store, "a") == [None]


def test_microseconds_for_unix_seconds_are_named(tmp_path: Path) -> None:
    row = {
        "user_id": "a",
        "event_timestamp": at(1),
        "created": at(1),
        "value": 1_767_225_600 * 10**6,
    }
    file = write_rows(tmp_path / "rows.parquet", [row])
    store = open_store(tmp_path, feature_view("v", source(file), features={"value": UnixTimestamp}))
    with pytest.raises(SourceError, match=r"v: .*rows\.parquet .*1767225600000000 of value has no"):
        store.get_historical_features(entities(("a", 2)), ["v:value"])


def decimals(folder: Path, *stored: pa.DataType) -> FeatureStore:
    """Write a file for each type of `value`, and open a store on their folder."""
    for number, kind in enumerate(stored, 1):
        row = {"user_id": "a", "event_timestamp": at(number), "created": at(1)}
        value = [Number("1.5")] if pa.types.is_list(kind) else Number("1.5")
        write_rows(folder / "data" / f"{number}.parquet", [{**row, "value": value}], value=kind)
    return open_store(folder, feature_view("v", source("data"), features={"value": Decimal}))


@pytest.mark.parametrize("kind", [pa.decimal256(46, 10), pa.list_(pa.decimal256(46, 10))], ids=str)
def test_decimals_of_more_digits_than_polars_holds_are_named(
    tmp_path: Path, kind: pa.DataType
) -> None:
    with pytest.raises(SourceError, match=r"value of .*1\.parquet is .*\(46, 10\).* too wide"):
        decimals(tmp_path, kind).get_historical_features(entities(("a", 2)), ["v:value"])


def test_decimals_that_are_too_wide_together_name_both_files(tmp_path: Path) -> None:
    store = decimals(tmp_path, pa.decimal128(38, 2), pa.decimal128(20, 10))
    both = r"value is decimal256\(46, 10\), which is too wide: .*1\.parquet, .*2\.parquet"
    with pytest.raises(SourceError, match=both):
        store.get_historical_features(entities(("a", 2)), ["v:value"])


def test_a_wide_decimal_of_few_digits_is_read(tmp_path: Path) -> None:
    store = decimals(tmp_path, pa.decimal256(20, 2))
    table = store.get_historical_features(entities(("a", 2)), ["v:value"]).to_arrow()
    assert table["value"].to_pylist() == [Number("1.50")]
