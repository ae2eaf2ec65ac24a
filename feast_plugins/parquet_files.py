"""Parquet tables: the files of a path, and atomic writes."""

import re
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileSystem, FileType

ROWS_PER_BATCH = 1_000_000
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
OWN_NAME = re.compile(r"([0-9a-f]{32}(-\d+)?|part-[^/]*)\.parquet")  # of Feast's tables, or Spark's


def parquet_files(path: Path) -> list[Path]:
    """Return the file, the folder's files or those that match the pattern, in order of names.

    Like Spark, Hive and pyarrow, leave out `.name` and `_name`, and all in folders of such names.
    """
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return sorted(file for file in files if _is_data(file.relative_to(path)))
    if any(mark in str(path) for mark in "*?[") and not path.exists():
        return sorted(Path(file) for file in glob(str(path), recursive=True))
    return [path]


def remote_files(filesystem: FileSystem, path: str) -> list[str]:
    """Return the same for a file or a folder of another file system."""
    if filesystem.get_file_info(path).type == FileType.File:
        return [path]
    found = filesystem.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    files = [PurePosixPath(info.path) for info in found if info.is_file]
    return sorted(str(file) for file in files if _is_data(file.relative_to(path)))


def _is_data(file: PurePosixPath | Path) -> bool:
    """Return True for a data file; a name with `=` is a partition, whatever it begins with."""
    return not any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) for part in file.parts
    )


def partition_values(file: str) -> dict[str, str | None]:
    """Return the columns in the names of a file's folders, `name=value` as Hive writes them."""
    pairs = (part.split("=", 1) for part in PurePosixPath(file).parts[:-1] if "=" in part)
    return {unquote(n): None if value == HIVE_NULL else unquote(value) for n, value in pairs}


def write_parquet(chunks: Iterable[pa.Table], path: Path) -> None:
    """Write chunks of one schema to one file, atomically.

    Raises IsADirectoryError where a folder is in the way.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.new")
    try:
        _write(chunks, str(temporary))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_remote(chunks: Iterable[pa.Table], path: str, filesystem: FileSystem) -> None:
    """Replace a table in another file system; a new path without `.parquet` is a folder.

    An object is visible when it is complete; older objects are deleted afterwards.
    Raises FileExistsError as replace_parquet does.
    """
    old = remote_files(filesystem, path)
    _check_no_foreign(path, map(PurePosixPath, old))
    if old == [path] or (not old and path.endswith(".parquet")):
        return _write_object(chunks, path, filesystem)
    _write_object(chunks, f"{path.rstrip('/')}/{uuid4().hex}.parquet", filesystem)
    for other in old:
        filesystem.delete_file(other)


def _write_object(chunks: Iterable[pa.Table], path: str, filesystem: FileSystem) -> None:
    """Write one object, which is visible under its name when it is complete."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid4().hex}.new"
    try:
        _write(chunks, temporary, filesystem)
        filesystem.move(temporary, path)
    finally:
        if filesystem.get_file_info(temporary).type == FileType.File:
            filesystem.delete_file(temporary)


def _check_no_foreign(folder: Path | str, files: Iterable[PurePath]) -> None:
    for file in files:
        name = str(file.relative_to(folder))
        if name != "." and not OWN_NAME.fullmatch(name):  # "." is the table itself, a file
            raise FileExistsError(f"{folder} is a folder with other files, such as {file}")


def _write(chunks: Iterable[pa.Table], path: str, filesystem: FileSystem | None = None) -> None:
    chunks = iter(chunks)
    first = next(chunks)
    with pq.ParquetWriter(path, first.schema, filesystem=filesystem) as writer:
        writer.write_table(first)
        for chunk in chunks:
            writer.write_table(chunk)


def append_parquet(rows: pa.Table, path: Path) -> None:
    """Add rows to a table: to a folder as a file of their own, to a file by rewriting it."""
    if path.is_dir():
        write_parquet([rows], path / f"{uuid4().hex}.parquet")
    else:
        write_parquet(_followed_by(path, rows), path)


def append_remote(rows: pa.Table, path: str, filesystem: FileSystem) -> None:
    """Add rows to a table in another file system, in the same way."""
    if filesystem.get_file_info(path).type == FileType.File:
        old = pq.read_table(path, filesystem=filesystem)
        _write_object([pa.concat_tables([old, rows.cast(old.schema)])], path, filesystem)
    else:
        _write_object([rows], f"{path.rstrip('/')}/{uuid4().hex}.parquet", filesystem)


def replace_parquet(chunks: Iterable[pa.Table], path: Path) -> None:
    """Replace the table at `path`; a new name without `.parquet` is a folder.

    Raises FileExistsError for a folder with files that no table of Feast or Spark has; it stays
    unchanged.
    """
    if path.is_file() or (path.suffix == ".parquet" and not path.is_dir()):
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_parquet(chunks, path)
    old = parquet_files(path) if path.exists() else []
    _check_no_foreign(path, old)
    path.mkdir(parents=True, exist_ok=True)
    write_parquet(chunks, path / f"{uuid4().hex}.parquet")
    for file in old:
        file.unlink()


def _followed_by(path: Path, rows: pa.Table) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        yield from (pa.Table.from_batches([b]) for b in file.iter_batches(ROWS_PER_BATCH))
    yield rows
