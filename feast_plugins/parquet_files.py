"""Parquet tables: the files of a path, and atomic writes."""

import re
from collections.abc import Iterable, Iterator
from glob import glob
from itertools import chain
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

LOCAL = LocalFileSystem()
ROWS_PER_BATCH = 1_000_000
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
OWN_NAME = re.compile(r"([0-9a-f]{32}(-\d+)?|part-[^/]*)\.parquet")  # of Feast's tables, or Spark's


def parquet_files(path: Path) -> list[Path]:
    """Return the file, the folder's files or those that match the pattern, in order of names."""
    if any(mark in str(path) for mark in "*?[") and not path.exists():
        return sorted(Path(file) for file in glob(str(path), recursive=True))
    return [Path(file) for file in data_files(str(path))] if path.is_dir() else [path]


def data_files(path: str, filesystem: FileSystem = LOCAL) -> list[str]:
    """Return the file or the folder's files, in order of names; none if nothing exists.

    Like Spark, Hive and pyarrow, leave out `.name` and `_name`, and all in folders of such names.
    """
    if filesystem.get_file_info(path).type == FileType.File:
        return [path]
    found = filesystem.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    files = [PurePosixPath(info.path) for info in found if info.is_file]
    return sorted(str(file) for file in files if _is_data(file.relative_to(path)))


def _is_data(file: PurePosixPath) -> bool:
    """Return True for a data file; a name with `=` is a partition, whatever it begins with."""
    return not any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) for part in file.parts
    )


def partition_values(file: str) -> dict[str, str | None]:
    """Return the columns in the names of a file's folders, `name=value` as Hive writes them."""
    pairs = (part.split("=", 1) for part in PurePosixPath(file).parts[:-1] if "=" in part)
    return {unquote(n): None if value == HIVE_NULL else unquote(value) for n, value in pairs}


def replace_table(chunks: Iterable[pa.Table], path: str, filesystem: FileSystem = LOCAL) -> None:
    """Write chunks of one schema in place of a table; a new path without `.parquet` is a folder.

    A file is visible when it is complete; the older files of a folder are deleted afterwards.
    Raises FileExistsError for a folder with files that no table of Feast or Spark has; it stays
    unchanged.
    """
    found = filesystem.get_file_info(path).type
    if found == FileType.File or (found == FileType.NotFound and path.endswith(".parquet")):
        return _write_file(chunks, path, filesystem)
    old = data_files(path, filesystem)
    for file in old:
        if not OWN_NAME.fullmatch(str(PurePosixPath(file).relative_to(path))):
            raise FileExistsError(f"{path} is a folder with other files, such as {file}")
    _write_file(chunks, new_file(path), filesystem)
    for file in old:
        filesystem.delete_file(file)


def append_rows_to(path: str, rows: pa.Table, filesystem: FileSystem = LOCAL) -> None:
    """Add rows to a table: to a folder as a file of their own, to a file by rewriting it."""
    if filesystem.get_file_info(path).type == FileType.File:
        _write_file(_followed_by(path, rows, filesystem), path, filesystem)
    else:
        _write_file([rows], new_file(path), filesystem)


def new_file(folder: str) -> str:
    """Return the path of a new file in a folder."""
    return f"{folder.rstrip('/')}/{uuid4().hex}.parquet"


def _write_file(chunks: Iterable[pa.Table], path: str, filesystem: FileSystem) -> None:
    """Write one file, which is visible under its name when it is complete."""
    file = PurePosixPath(path)
    if isinstance(filesystem, LocalFileSystem):
        filesystem.create_dir(str(file.parent))
    temporary = str(file.with_name(f".{file.name}.{uuid4().hex}.new"))
    try:
        chunks = iter(chunks)
        first = next(chunks)
        with pq.ParquetWriter(temporary, first.schema, filesystem=filesystem) as writer:
            for chunk in chain([first], chunks):
                writer.write_table(chunk)
        filesystem.move(temporary, path)
    finally:
        if filesystem.get_file_info(temporary).type == FileType.File:
            filesystem.delete_file(temporary)


def _followed_by(path: str, rows: pa.Table, filesystem: FileSystem) -> Iterator[pa.Table]:
    with filesystem.open_input_file(path) as source, pq.ParquetFile(source) as file:
        yield from (pa.Table.from_batches([b]) for b in file.iter_batches(ROWS_PER_BATCH))
    yield rows
