"""The Parquet files of a feature source, on a disk or in S3."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import RepoConfig
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource
from pyarrow.fs import FileSystem

from feast_plugins.duckdb_session import connect, quoted
from feast_plugins.parquet_files import data_files, parquet_files, partition_values

# Missing, cut off, not Parquet, or of values that nothing reads.
UNREADABLE = (OSError, pa.ArrowInvalid, pl.exceptions.PolarsError, duckdb.Error)


class SourceError(ValueError):
    """A source cannot be read as declared; names the view, the file and the column."""


@dataclass(frozen=True)
class FileSchema:
    """A file's columns; `by_duckdb`: only DuckDB reads its JSON, UUIDs or INTERVALs."""

    arrow: pa.Schema
    by_duckdb: bool

    @classmethod
    def read(cls, name: str, filesystem: FileSystem | None) -> Self:
        """Read a file's footer; raises one of UNREADABLE."""
        schema = pq.read_metadata(name, filesystem=filesystem).schema
        columns = [schema.column(place) for place in range(len(schema))]
        types = {kind for c in columns for kind in (c.logical_type.type, c.converted_type)}
        if filesystem is None and types & {"JSON", "UUID", "INTERVAL"}:
            return cls(_rows_by_duckdb(name, "*", "LIMIT 0").schema, by_duckdb=True)
        return cls(schema.to_arrow_schema(), by_duckdb=False)


def _rows_by_duckdb(name: str, columns: str, rows: str = "") -> pa.Table:
    query = f"SELECT {columns} FROM read_parquet(?, hive_partitioning = false) {rows}"
    with connect() as connection:
        return connection.execute(query, [name]).to_arrow_table()


@dataclass(frozen=True)
class SourceFiles:
    """A source's files in order of their names; `filesystem` is None for the local disk."""

    owner: str
    path: str
    names: tuple[str, ...]
    filesystem: FileSystem | None = None

    def schemas(self) -> dict[str, pa.Schema]:
        """Return the schema of each file; raises SourceError if there is none, or a broken one."""
        if not self.names:
            raise SourceError(f"{self.owner}: {self.path} has no files")
        added = pa.schema([(name, values.type) for name, values in self.partitions.items()])
        return {name: pa.schema([*file.arrow, *added]) for name, file in self._files.items()}

    @cached_property
    def partitions(self) -> dict[str, pa.Array]:
        """Return each column that all paths and no files have: its values, file by file."""
        paths = [partition_values(name) for name in self.names]
        stored = {column for file in self._files.values() for column in file.arrow.names}
        shared = set.intersection(*map(set, paths)) - stored
        return {column: _inferred([path[column] for path in paths]) for column in sorted(shared)}

    @cached_property
    def _files(self) -> dict[str, FileSchema]:
        files = {}
        for name in self.names:
            try:
                files[name] = FileSchema.read(name, self.filesystem)
            except UNREADABLE as error:
                raise SourceError(f"{self.owner}: {name} cannot be read: {error}") from error
        return files

    def scan(self, name: str, columns: Sequence[str]) -> pl.LazyFrame:
        """Return some columns of a file, read when the frame is collected, or else at once."""
        stored = [column for column in columns if column not in self.partitions]
        if self.filesystem is not None:
            with self.filesystem.open_input_file(name) as file:
                frame = pl.LazyFrame(pq.read_table(file, columns=stored))
        elif self._files[name].by_duckdb:
            frame = pl.LazyFrame(_rows_by_duckdb(name, ", ".join(map(quoted, stored))))
        else:
            frame = pl.scan_parquet(name, glob=False, hive_partitioning=False)
        at = self.names.index(name)
        values = (pl.Series(n, v) for n, v in self.partitions.items())
        frame = frame.with_columns(pl.lit(v[at], v.dtype).alias(v.name) for v in values)
        return frame.select(columns)


def _inferred(values: Sequence[str | None]) -> pa.Array:
    """Return a partition's values as integers or dates, if each of them is written as one."""
    texts = pa.array(values, pa.string())
    for kind in (pa.int64(), pa.date32()):
        try:
            converted = texts.cast(kind)
        except pa.ArrowInvalid:
            continue
        if converted.cast(pa.string()) == texts:  # 007 is a text
            return converted
    return texts


def source_files(owner: str, source: DataSource, config: RepoConfig) -> SourceFiles:
    """Return the files of a source; `owner` is named by errors.

    Raises SourceError for a source that is not Parquet, and for an S3 that cannot be reached.
    """
    if not isinstance(source, FileSource):
        raise SourceError(f"{owner}: its source is a {type(source).__name__}, not a file")
    if not isinstance(source.file_format, ParquetFormat | None):
        raise SourceError(f"{owner}: {source.path} is not Parquet")
    if "://" in source.path and not source.path.startswith(("file://", "s3://")):
        raise SourceError(f"{owner}: {source.path} cannot be read: give a path, or s3://")
    uri = file_uri(source.path, config)
    filesystem, path = file_system(uri, source)
    if filesystem is None:
        return SourceFiles(owner, path, tuple(str(file) for file in parquet_files(Path(path))))
    try:
        return SourceFiles(owner, uri, tuple(data_files(path, filesystem)), filesystem)
    except OSError as error:
        raise SourceError(f"{owner}: {uri} cannot be read: {error}") from error


def file_uri(path: str, config: RepoConfig) -> str:
    """Return a path without `file://`, or a URI; a relative path begins at the repository."""
    local = path.removeprefix("file://")
    return str(FileSource.get_uri_for_file_path(config.repo_path, local))


def file_system(uri: str, source: FileSource) -> tuple[FileSystem | None, str]:
    """Return the file system of a URI, None for the local disk, and the path in it."""
    options = [source.s3_endpoint_override]
    if getattr(source, "connection_ref", None) is not None:  # Feast 0.65 has none
        options.append(source.resolve_credentials())
    return FileSource.create_filesystem_and_path(uri, *options)  # type: ignore[no-any-return]
