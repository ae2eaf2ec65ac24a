"""Files as people export them: each is read, or the error names the problem and the option.

A value that cannot be read is never dropped: rows of the file = rows taken + rows refused.

Reports of the same kinds, on github.com:
- a bank's export in cp1252, bank2ynab/bank2ynab/issues/12
- mixed line ends, duckdb/duckdb/pull/15959; a wrong delimiter, duckdb/duckdb/issues/15576
- NaN that becomes true, jpmml/jpmml-sklearn/issues/88; NA that is Namibia, kuzudb/kuzu/issues/1323
- 9999-12-31 for "no end", opensafely-core/cohort-extractor/pull/714
"""

import csv
import gzip
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from checker.cli import app
from lab.dataset.importer import import_table
from lab.dataset.manifest import Manifest
from lab.dataset.mapping import ImportOptions
from lab.errors import UserError
from tests.settings_in_force import PointSettings

HEADER = "user_id,event_timestamp,amount"
TIME = "2024-01-01T10:00:00Z"
GOOD = f"{HEADER}\nann,{TIME},5\n"
# Without a time: a test's name has its bytes, and all workers collect the same names
PACKED = gzip.compress(GOOD.encode(), mtime=0)


def load(folder: Path, content: str | bytes, *, name: str = "export.csv", **given: Any) -> Manifest:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return import_table(folder / "data", file, ImportOptions(**given))


def column(folder: Path, name: str) -> list[Any]:
    values: list[Any] = pq.read_table(folder / "data" / "transactions.parquet")[name].to_pylist()
    return values


def error_of(folder: Path, content: str | bytes, **given: Any) -> str:
    with pytest.raises(UserError) as refused:
        load(folder, content, **given)
    return str(refused.value)


# ---- Bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("UPPER.CSV", GOOD.encode()),
        ("byte_order_mark.csv", GOOD.encode("utf-8-sig")),
        ("excel_unicode.txt", GOOD.replace(",", "\t").encode("utf-16")),
        ("windows.csv", GOOD.replace("\n", "\r\n").encode()),
        ("mixed_line_ends.csv", f"{HEADER}\r\nann,{TIME},5\n".encode()),
        ("old_mac.csv", GOOD.replace("\n", "\r").encode()),
        ("no_last_line_end.csv", GOOD.rstrip().encode()),
        ("semicolons.csv", GOOD.replace(",", ";").encode()),
        ("spaces_in_the_header.csv", GOOD.replace(",", ", ").encode()),
        ("primary_key_first.csv", f"PK,{HEADER}\n1,ann,{TIME},5\n".encode()),
        ("excel_with_its_delimiter.csv", f"sep=;\n{GOOD.replace(',', ';')}".encode()),
        ("blank_lines_first.csv", f"\r\n\r\n{GOOD}".encode("utf-8-sig")),
        ("two_marks.csv", b"\xef\xbb\xbf" + GOOD.encode("utf-8-sig")),
        ("other_delimiter_in_a_name.csv", f'{HEADER},"a;b;c;d;e"\nann,{TIME},5,1\n'.encode()),
        ("two_gzip_members.csv.gz", gzip.compress(b"", mtime=0) + PACKED),
        ("quoted.csv", f'"user_id","event_timestamp","amount"\n"ann","{TIME}","5"\n'.encode()),
        ("packed.csv.gz", PACKED),
        ("packed_without_its_ending.csv", PACKED),
    ],
)
def test_a_file_of_another_program_is_read(name: str, content: bytes, tmp_path: Path) -> None:
    assert load(tmp_path, content, name=name).source_rows == 1
    assert column(tmp_path, "amount") == [5.0]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_text_in_another_encoding_names_the_option(encoding: str, tmp_path: Path) -> None:
    content = f"{HEADER},ort\nann,{TIME},5,Köln\n".encode(encoding)
    assert f"--encoding {encoding}" in error_of(tmp_path, content)
    load(tmp_path, content, encoding=encoding, id_columns=["ort"])
    assert column(tmp_path, "transaction_id") == ["Köln"]


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "undefined"])
def test_an_encoding_that_does_not_exist_is_an_error(encoding: str, tmp_path: Path) -> None:
    assert f"--encoding {encoding}: no such" in error_of(tmp_path, GOOD, encoding=encoding)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04", "an Excel or ZIP file"),
        *((text, "a JSON file") for text in (b'{"user_id": "ann"}', b"\xef\xbb\xbf [{}]")),
        (gzip.compress(PACKED, mtime=0), "compressed by gzip twice"),
        (b"<!DOCTYPE html>", "an HTML or XML file"),
        (b"", "the file is empty"),
        *((text, "no rows") for text in (b"\n\n", HEADER.encode())),
        (GOOD.replace("ann", "a\0n").encode(), "NUL characters.*\n.*tr -d"),
        (b"\x28\xb5\x2f\xfd12345", "compressed by zstd"),
        (PACKED[:-9], "gzip file is damaged"),
        (b"PAR1", "cannot be read"),
        # An archive, Arrow's stream, a pickle, NumPy, HDF5, SAS: no encoding makes a table of them
        *(
            (head + bytes(64), "it is a binary file")
            for head in (
                b"x.csv",
                b"\xff" * 4,
                b"\x80\x04\x95",
                b"\x93NUMPY\x01",
                b"\x89HDF\r\n\x1a\n",
            )
        ),
        (b"x\x9cK\xcc\xcb\x03\x00", "it is a binary file"),
        (bytes(100), "it is a binary file"),
        *((GOOD.replace(",", mark), "one column only.*\n.*separated") for mark in "~\1 "),
        (f"Report of 2024\n\n{GOOD}", "one column only, 'Report of 2024'"),
    ],
)
def test_another_format_is_named(content: bytes, problem: str, tmp_path: Path) -> None:
    assert re.search(problem, error_of(tmp_path, content))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for place, problem in ((tmp_path, "a folder or a pipe"), (tmp_path / "gone", "no such file")):
        with pytest.raises(UserError, match=problem):
            import_table(tmp_path / "data", place, ImportOptions())
    assert list((tmp_path / "data").iterdir()) == []


def test_hundreds_of_columns_need_little_memory(tmp_path: Path) -> None:
    """The training file of the IEEE-CIS competition has 434."""
    names, values = (",".join(f"{word}{n}" for n in range(450)) for word in ("V", "1"))
    assert load(tmp_path, f"{HEADER},{names}\nann,{TIME},5,{values}\n").source_rows == 1


# ---- Header --------------------------------------------------------------------------------------


def test_a_file_of_ones_own_lists_its_columns_and_what_is_wanted(tmp_path: Path) -> None:
    content = "InvoiceNo,CustomerID,InvoiceDate,Price\n1,17850,2010-12-01 08:26:00,2.55\n"
    message = error_of(tmp_path, content)
    assert "no column 'user_id', 'event_timestamp', 'amount'" in message
    assert "it has InvoiceNo, CustomerID, InvoiceDate, Price" in message
    gaps = "--map user_id=COLUMN --map event_timestamp=COLUMN --map amount=COLUMN"
    assert message.endswith(gaps)


def test_names_that_differ_by_case_spaces_or_underscores_are_proposed(tmp_path: Path) -> None:
    content = f"UserID,Event Timestamp,AMOUNT,Merchant_Id\nann,{TIME},5,m\n"
    message = error_of(tmp_path, content)
    proposed = dict(re.findall(r"--map '?(\w+)=([\w ]+\w)", message))
    names = {"user_id": "UserID", "event_timestamp": "Event Timestamp", "amount": "AMOUNT"}
    assert proposed == {**names, "merchant_id": "Merchant_Id"}
    load(tmp_path, content, columns=proposed)
    assert column(tmp_path, "merchant_id") == ["merchant_0"]


# ---- Values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["NaN", "", "NA", "null", "None", "\\N"])
@pytest.mark.parametrize("label", [None, "label > 0"])
def test_a_label_without_a_value_is_unknown(word: str, label: str | None, tmp_path: Path) -> None:
    rows = "".join(f"ann,{TIME},5,{value}\n" for value in ("1", "0", word))
    load(tmp_path, f"{HEADER},label\n{rows}", label=label)
    assert column(tmp_path, "label") == [1, 0, None]


def test_nan_labels_of_parquet_are_unknown(tmp_path: Path) -> None:
    rows = {"user_id": ["a"] * 3, "amount": [5.0] * 3, "label": [1.0, 0.0, float("nan")]}
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({**rows, "event_timestamp": [TIME] * 3}), file)
    for options in (ImportOptions(), ImportOptions(label="label >= 1")):
        import_table(tmp_path / "data", file, options)
        assert column(tmp_path, "label") == [1, 0, None]


@pytest.mark.parametrize("label", ["2", "-1", "0.5", "fraud"])
def test_a_label_that_is_neither_0_nor_1_is_refused(label: str, tmp_path: Path) -> None:
    message = error_of(tmp_path, f"{HEADER},label\nann,{TIME},5,{label}\nbob,{TIME},5,0\n")
    assert f"neither 0 nor 1 (row 1: '{label}" in message
    condition = "label = 'fraud'" if label == "fraud" else "label > 0"
    assert message.endswith(f'--label "{condition}"')


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        *((text, "too large") for text in ("5000000000000000000", "92233720368547759")),
        *((text, "not a number") for text in ('"12,50"', "$5", "0x10", "five")),
        *((text, "not a number") for text in ("(5.00)", "5 €", "1'000", '"1.234,56"', "=5", "5%")),
        ("-0.01", "negative"),
        ("0.0004", "less than a cent"),  # of a bitcoin
        ("1e999", "not a finite number"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_with_its_text(
    amount: str, problem: str, tmp_path: Path
) -> None:
    message = error_of(tmp_path, f"{GOOD}bob,{TIME},{amount}\n")
    assert f"column amount: 1 of its rows {problem}" in message
    assert "row 2:" in message


def test_decimals_that_duckdb_misreads_are_refused(tmp_path: Path) -> None:
    amounts = pa.array([Decimal("5.00")], pa.decimal256(50, 2))  # read as 83886080
    rows = {"user_id": ["ann"], "event_timestamp": [TIME], "amount": amounts}
    pq.write_table(pa.table(rows), tmp_path / "wide.parquet")
    with pytest.raises(UserError, match="amount has decimals of more than 38 digits"):
        import_table(tmp_path / "data", tmp_path / "wide.parquet", ImportOptions())


def test_cents_are_preserved(tmp_path: Path) -> None:
    """DuckDB casts the text 12.50 to the integer 13."""
    load(tmp_path, f"{HEADER}\nann,{TIME},12.50\n")
    assert column(tmp_path, "amount") == [12.5]


def test_spaces_around_a_value_are_not_the_value(tmp_path: Path) -> None:
    """Spreadsheets and web pages leave tabs, no-break spaces and marks without a width."""
    margins = ("", " ", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\v")
    rows = "".join(f"{m}ann{m},{m}{TIME}{m},{m}5{m}\n" for m in margins)
    assert load(tmp_path, f"{HEADER}\n{rows}").source_rows == len(margins)
    assert set(column(tmp_path, "user_id")) == {"user_0"}
    assert "without a value" in error_of(tmp_path, f"{HEADER}\n\u00a0,{TIME},5\n")


def test_an_amount_has_no_sign_of_zero(tmp_path: Path) -> None:
    load(tmp_path, f"{HEADER}\nann,{TIME},-0.0\n")
    assert str(column(tmp_path, "amount")) == "[0.0]"


def test_an_id_of_two_columns_never_collides(tmp_path: Path) -> None:
    pairs = [("a-b", "c"), ("a", "b-c"), ("a|b", "c"), ("a", "b|c"), ("a\\", "|c"), ("a", "\\|c")]
    rows = "".join(f"ann,{TIME},5,{till},{number}\n" for till, number in pairs)
    load(tmp_path, f"{HEADER},till,number\n{rows}", id_columns=["till", "number"])
    assert len(set(column(tmp_path, "transaction_id"))) == len(pairs)


@pytest.mark.parametrize("empty", ["", " ", "NaN", "null", "None", "\\N"])
def test_an_empty_id_is_refused(empty: str, tmp_path: Path) -> None:
    content = f"{HEADER},till,number\nann,{TIME},5,1,2\nann,{TIME},5,1,{empty}\n"
    assert "an empty id (row 2" in error_of(tmp_path, content, id_columns=["till", "number"])
    assert "without a value" in error_of(tmp_path, f"{GOOD}{empty},{TIME},5\n")
    load(tmp_path, f"{GOOD}NA,{TIME},5\n")


@pytest.mark.parametrize("name", ["row_number", "number", "reason", "line", "label_name", "place"])
def test_a_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    load(tmp_path, f"{HEADER},{name}\nann,{TIME},5,7\n", id_columns=[name])
    assert column(tmp_path, "transaction_id") == ["7"]
    assert "negative" in error_of(tmp_path, f"{HEADER},{name}\nann,{TIME},-5,7\n")
    load(tmp_path, f"{HEADER},{name}\nann,{TIME},-5,7\nbob,{TIME},5,8\n", skip_bad=True)


# ---- Every row is counted ------------------------------------------------------------------------

MIXED = f"""{HEADER}
ann,{TIME},5
#bob,{TIME},6
cleo,{TIME}
dan,{TIME},7,8
eve,9999-12-31,9
fay,{TIME},-1
gus,2024-01-01 10:00:00 PST,1
"""
REASONS = {
    "not a row of the table": 2,
    "amount: negative": 1,
    "event_timestamp: not an ISO date and time": 1,
    "event_timestamp: more than a day after now": 1,
}


def test_rows_of_the_file_are_taken_or_refused(tmp_path: Path) -> None:
    message = error_of(tmp_path, MIXED)
    assert "2 of its rows not a row of the table (line 4: 'cleo," in message
    assert "3 more for other reasons" in message
    described = load(tmp_path, MIXED, skip_bad=True)
    assert described.source_rows == 7
    assert described.refused == REASONS
    assert column(tmp_path, "amount") == [5.0, 6.0]
    with (tmp_path / "data" / "refused.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["user_id"] or row["text of the line"][:4] for row in rows] == [
        *("eve", "fay", "gus", "cleo", "dan,")
    ]
    assert all(row["why it is refused"] for row in rows)
    load(tmp_path, GOOD)
    assert not (tmp_path / "data" / "refused.csv").exists()


def test_a_file_of_bad_rows_only_replaces_nothing(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    assert "all rows are refused" in error_of(tmp_path, f"{HEADER}\nann,x,5\n", skip_bad=True)
    assert column(tmp_path, "amount") == [5.0]


def test_a_dry_run_shows_rows_and_refusals_and_changes_nothing(
    tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path / "data")
    file = tmp_path / "export.csv"
    file.write_text(MIXED)
    shown = CliRunner().invoke(app, ["data", "import", str(file), "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "7 rows: 2 good, 5 refused" in shown.output
    for part in ("event_timestamp", "VARCHAR", "2024-01-01 10:00:00", *REASONS):
        assert part in shown.output
    assert not list((tmp_path / "data").iterdir())
