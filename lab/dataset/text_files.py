"""A user's file in a form that DuckDB reads: Parquet as it is, text as UTF-8 with line feeds."""

import codecs
import csv
import gzip
import shutil
import zlib
from pathlib import Path

from lab.errors import UserError

PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
OTHER_FORMATS = {  # long enough that no name of a first column is one, such as PK
    b"PK\x03\x04": "an Excel or ZIP file",
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"BZh91AY&SY": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"SQLite format 3": "a SQLite database",
    b"Obj\x01": "an Avro file",
    b"{": "a JSON file",
    b"[": "a JSON file",
}
BYTE_ORDER_MARKS = {  # UTF-32 before UTF-16, whose mark is the beginning of the other
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
DELIMITERS = (",", ";", "\t", "|")
CHUNK = 2**20
HEAD = 512


def is_parquet(file: Path) -> bool:
    return _head(file).startswith(PARQUET)


def unpack(file: Path, stage: Path) -> Path:
    """Return the file, or its content in `stage` where it is compressed by gzip.

    Raises UserError for a file that is missing, empty, damaged, or in a format that is not read.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file", "lab data import FILE")
    if _head(file).startswith(GZIP):
        unpacked = stage / "unpacked"
        try:
            with gzip.open(file) as packed, unpacked.open("wb") as out:
                shutil.copyfileobj(packed, out)
        except (EOFError, OSError, zlib.error) as error:
            raise UserError(f"{file}: the gzip file is damaged: {error}") from error
    else:
        unpacked = file
    head = _head(unpacked)
    if not head:
        raise UserError(f"{file}: the file is empty")
    for magic, format_name in OTHER_FORMATS.items():
        if head.startswith(magic):
            problem = f"{file}: it is {format_name}, neither CSV nor Parquet"
            raise UserError(problem, "save the table as CSV in UTF-8, then: lab data import FILE")
    return unpacked


def as_utf8(file: Path, content: Path, encoding: str | None, stage: Path) -> Path:
    """Return a copy of `content` in `stage`: UTF-8, lines end with a line feed.

    A byte order mark wins over `encoding`; without both it is UTF-8. Raises UserError for a text
    in another encoding; it names `file`.
    """
    copy, used = stage / "text.csv", _mark_of(content) or encoding or "utf-8"
    try:
        with content.open(encoding=used) as text, copy.open("w", newline="\n") as out:
            for chunk in iter(lambda: text.read(CHUNK), ""):
                if "\0" in chunk:
                    raise _wrong_encoding(file, content, f"it has NUL characters as {used}")
                out.write(chunk)
    except LookupError as error:
        problem = f"{file}: --encoding {used}: no such encoding"
        raise UserError(problem, f"lab data import {file} --encoding cp1252") from error
    except UnicodeDecodeError as error:
        raise _wrong_encoding(file, content, _first_wrong_line(content, used)) from error
    return copy


def header_of(text_file: Path) -> tuple[str, list[str]]:
    """Return the delimiter of a CSV file, the one that gives most columns, and their names.

    Names are trimmed; one that is empty or taken, in upper or lower case, gets a number.
    """
    headers = {delimiter: _first_row(text_file, delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda delimiter: len(headers[delimiter]))
    names: list[str] = []
    for number, name in enumerate(headers[delimiter], start=1):
        taken = {earlier.lower() for earlier in names}
        free = name.strip() or "column"
        names.append(f"{free}_{number}" if free.lower() in taken or not name.strip() else free)
    return delimiter, names


def _first_row(text_file: Path, delimiter: str) -> list[str]:
    with text_file.open(encoding="utf-8", newline="") as text:
        return next(csv.reader(text, delimiter=delimiter), [])


def _head(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(HEAD)


def _mark_of(content: Path) -> str | None:
    head = _head(content)
    found = (name for mark, name in BYTE_ORDER_MARKS.items() if head.startswith(mark))
    return next(found, None)


def _wrong_encoding(file: Path, content: Path, problem: str) -> UserError:
    """Return the error, with the encoding that the first bytes suggest."""
    head = _head(content)
    zeros = {"utf-16-be": head[::2].count(0), "utf-16-le": head[1::2].count(0)}
    likely = max(zeros, key=lambda name: zeros[name])
    if zeros[likely] < len(head) / 4:
        likely = "cp1252"
    next_step = f"lab data import {file} --encoding {likely}"
    return UserError(f"{file}: {problem}", f"{next_step}  (or the encoding of this file)")


def _first_wrong_line(content: Path, encoding: str) -> str:
    """Return the sentence that names the first line which is not in `encoding`."""
    with content.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                wrong = line[error.start : error.end].hex(" ")
                return (
                    f"line {number} is not {encoding}: byte {wrong} after {_text_before(error)!r}"
                )
    return f"it is not {encoding}"


def _text_before(error: UnicodeDecodeError) -> str:
    return error.object[max(error.start - 20, 0) : error.start].decode("latin-1")
