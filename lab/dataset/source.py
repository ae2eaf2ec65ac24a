"""Somebody's table as it was given, and what may be wrong with it."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from lab.dataset.session import count, literal, quoted
from lab.errors import UserError

READERS = {".csv": "read_csv", ".tsv": "read_csv", ".gz": "read_csv", ".parquet": "read_parquet"}
EXAMPLES = 3


class Source:
    """The rows of a CSV or Parquet file as the table `source`, numbered by `row_number` from 1."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, file: Path, text: Sequence[str]
    ) -> None:
        """Read file; of a CSV the columns named in text stay text, the types of others are guessed.

        Raises UserError if there is no such file, if it cannot be read, or has no rows.
        """
        self.connection = connection
        self.file = file
        if not file.is_file():
            raise UserError(f"{file}: no such file", "lab data import FILE")
        if file.suffix not in READERS:
            raise UserError(f"{file}: neither .csv, .tsv, .csv.gz nor .parquet")
        if file.stat().st_size == 0:
            raise UserError(f"{file}: the file is empty")
        try:
            self._read(text)
        except duckdb.Error as error:
            raise UserError(f"{file}: cannot be read: {first_line(error)}") from error
        if self.columns == [] or count(connection, "source") == 0:
            raise UserError(f"{file}: no rows")

    def _read(self, text: Sequence[str]) -> None:
        reader = f"{READERS[self.file.suffix]}({literal(str(self.file))}"
        if self.file.suffix != ".parquet":
            header = self._columns_of(f"{reader}, all_varchar = true)")
            types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header if name in text)
            reader += f", sample_size = -1, types = {{{types}}}"
        self.connection.execute(
            f"CREATE TABLE source AS SELECT row_number() OVER () AS row_number, * FROM {reader})"
        )
        self.columns = self._columns_of("source")[1:]

    def _columns_of(self, relation: str) -> list[str]:
        return [row[0] for row in self.connection.execute(f"DESCRIBE FROM {relation}").fetchall()]

    def require(self, columns: Sequence[str], option: str) -> None:
        """Raise a UserError that names the first of columns that the file lacks."""
        for column in columns:
            if column not in self.columns:
                raise UserError(
                    f"{self.file}: no column {column!r}; it has {', '.join(self.columns)}",
                    f"lab data import {self.file} {option}",
                )

    def refuse(self, column: str, bad: str, what: str, next_step: str | None = None) -> None:
        """Raise a UserError if bad (SQL) holds in any row: how many, with three examples.

        column: its name, or several joined by " + ".
        """
        rows = count(self.connection, f"source WHERE {bad}")
        if rows == 0:
            return
        value = ", ".join(quoted(name) for name in column.split(" + "))
        examples = self.connection.execute(
            f"SELECT row_number, concat_ws(' + ', {value}) FROM source WHERE {bad} "
            f"ORDER BY row_number LIMIT {EXAMPLES}"
        ).fetchall()
        shown = ", ".join(f"row {number}: {text!r}" for number, text in examples)
        raise UserError(
            f"{self.file}: column {column}: {rows:,} of its rows {what} ({shown})",
            next_step or f"lab data import {self.file}  (with these rows corrected)",
        )

    def check_condition(self, option: str, condition: str) -> None:
        """Raise a UserError if condition is no SQL condition on the file's columns."""
        try:
            self.connection.execute(f"SELECT count(({condition})::BOOLEAN) FROM source").fetchone()
        except duckdb.Error as error:
            raise UserError(
                f"{self.file}: {option} {condition!r}: {first_line(error)}",
                f"lab data import {self.file} {option} 'COLUMN > 0'",
            ) from error


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
