"""Parquet tables on disk: the files that a path stands for, and writes that happen whole or not."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_BATCH = 1_000_000


def parquet_files(path: Path) -> list[Path]:
    """The file, or the folder's files in order of their names."""
    return sorted(path.rglob("*.parquet")) if path.is_dir() else [path]


def write_parquet(chunks: Iterable[pa.Table], path: Path) -> None:
    """Write chunks of one schema to one file, whole or not at all.

    Raises IsADirectoryError where a folder is in the way.
    """
    beside = path.with_name(f".{path.name}.{uuid4().hex}.new")
    chunks = iter(chunks)
    first = next(chunks)
    try:
        with pq.ParquetWriter(beside, first.schema) as writer:
            writer.write_table(first)
            for chunk in chunks:
                writer.write_table(chunk)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def append_parquet(rows: pa.Table, path: Path) -> None:
    """Add rows to a table: to a folder as a file of their own, to a file by writing it anew."""
    if path.is_dir():
        write_parquet([rows], path / f"{uuid4().hex}.parquet")
    else:
        write_parquet(_followed_by(path, rows), path)


def _followed_by(path: Path, rows: pa.Table) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        yield from (pa.Table.from_batches([b]) for b in file.iter_batches(ROWS_PER_BATCH))
    yield rows
