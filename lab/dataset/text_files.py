"""A user's file in a form that DuckDB reads: Parquet as it is, text as UTF-8 with line feeds."""

import codecs
import csv
import gzip
import os
import re
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
    GZIP: "compressed by gzip twice",
    b"ARROW1": "an Arrow file",
    b"%PDF-": "a PDF file",
    b"version https://git-lfs": "a pointer of Git LFS",
    b"<": "an HTML or XML file",
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
QUOTED = re.compile(r'"[^"]*"')
BEFORE_NAMES = re.compile(r"\A(?:\ufeff|\n|sep=.\n)+")  # blank lines, and Excel's delimiter
NOT_IN_TEXT = re.compile("[\0-\x08\x0e-\x1f\ufffd]")
CHUNK = 2**20
HEAD = 512


def is_parquet(file: Path) -> bool:
    return _head(file).startswith(PARQUET)


def unpack(file: Path, stage: Path) -> Path:
    """Return the file, or its content in `stage` where it is compressed by gzip.

    Raises UserError for a file that is missing, empty, damaged, or in a format that is not read.
    """
    if not file.is_file():
        problem = "a folder or a pipe, not a file" if file.exists() else "no such file"
        raise UserError(f"{file}: {problem}", "lab data import FILE")
    if not os.access(file, os.R_OK):
        raise UserError(f"{file}: permission denied", f"chmod u+r {file}")
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
    begin = head.removeprefix(codecs.BOM_UTF8).lstrip(b" \r\n")
    for magic, format_name in OTHER_FORMATS.items():
        if begin.startswith(magic):
            raise _wrong_format(file, format_name)
    return unpacked


def as_utf8(file: Path, content: Path, encoding: str | None, stage: Path) -> Path:
    """Return a copy of `content` in `stage`: UTF-8, from the header on, with line feeds.

    A byte order mark wins over `encoding`; without both it is UTF-8. Raises UserError for a text
    in another encoding; it names `file`.
    """
    copy, used = stage / "text.csv", _mark_of(content) or encoding or "utf-8"
    try:
        with content.open(encoding=used) as text, copy.open("w", newline="\n") as out:
            for chunk in iter(lambda: text.read(CHUNK), ""):
                if "\0" in chunk:
                    raise _wrong_encoding(file, content, f"it has NUL characters as {used}")
                out.write(chunk if out.tell() else BEFORE_NAMES.sub("", chunk))
    except UnicodeDecodeError as error:
        raise _wrong_encoding(file, content, f"{_wrong_bytes(error)} is not {used}") from error
    except (LookupError, UnicodeError) as error:
        problem = f"{file}: --encoding {used}: no such encoding"
        raise UserError(problem, f"lab data import {file} --encoding cp1252") from error
    return copy


def header_of(text_file: Path) -> tuple[str, list[str]]:
    """Return the delimiter of a CSV file, the one that gives most columns, and their names.

    Names are trimmed; one that is empty or taken, in upper or lower case, gets a number.
    """
    with text_file.open(encoding="utf-8", newline="") as text:
        unquoted = QUOTED.sub("", text.read(CHUNK)).partition("\n")[0]
        delimiter = max(DELIMITERS, key=unquoted.count)
        text.seek(0)
        header = next(csv.reader(text, delimiter=delimiter), [""])
    names: list[str] = []
    for number, name in enumerate(header, start=1):
        taken = {earlier.lower() for earlier in names}
        free = name.strip() or "column"
        names.append(f"{free}_{number}" if free.lower() in taken or not name.strip() else free)
    return delimiter, names


def _head(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(HEAD)


def _mark_of(content: Path) -> str | None:
    head = _head(content)
    found = (name for mark, name in BYTE_ORDER_MARKS.items() if head.startswith(mark))
    return next(found, None)


def _wrong_encoding(file: Path, content: Path, problem: str) -> UserError:
    """Return the error, with the encoding in which the first bytes are a text, if there is one."""
    head = _head(content)
    width = "utf-32" if head.count(0) > len(head) * 0.6 else "utf-16"
    likely = f"{width}-{'le' if head[1::2].count(0) > head[::2].count(0) else 'be'}"
    text = head[: len(head) // 4 * 4].decode(likely, errors="replace")
    if head.count(0) < len(head) / 4:
        likely, text = "cp1252", head.replace(b"\0", b"").decode("latin-1")
    if NOT_IN_TEXT.search(text):
        return _wrong_format(file, "a binary file")
    next_step = f"lab data import {file} --encoding {likely}  (or the encoding of this file)"
    if "NUL" in problem and likely == "cp1252":
        next_step = f"tr -d '\\0' < {file} > clean.csv, then: lab data import clean.csv"
    return UserError(f"{file}: {problem}", next_step)


def _wrong_format(file: Path, format_name: str) -> UserError:
    problem = f"{file}: it is {format_name}, neither CSV nor Parquet"
    next_step = "unpack it, or save the table as CSV in UTF-8, then: lab data import FILE"
    return UserError(problem, next_step)


def _wrong_bytes(error: UnicodeDecodeError) -> str:
    before = error.object[max(error.start - 20, 0) : error.start].decode("latin-1")
    return f"byte {error.object[error.start : error.end].hex(' ')} after {before!r}"
