"""A user's table as the rows of `source`, and the rejected rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lab.dataset import text_files
from lab.dataset.session import count, literal, quoted
from lab.errors import UserError

EXAMPLES, SHOWN = 3, 200  # rows, and characters of each
# Names that no column of a user's table has
ROW, CHECK, REASON = map(quoted, ("row of the file", "check of the lab", "why it is refused"))
TYPES = {  # of a CSV column, the first that fits: DuckDB would cast 12.50 to an integer, too
    "BIGINT": r"regexp_full_match({0}, '-?\d{{1,18}}')",
    "DOUBLE": "TRY_CAST({0} AS DOUBLE) IS NOT NULL",
    "BOOLEAN": "TRY_CAST({0} AS BOOLEAN) IS NOT NULL",
    "TIMESTAMP": "TRY_CAST({0} AS TIMESTAMP) IS NOT NULL",
}
NO_VALUE = r"(?i)(nan|null|none|na|n/a|<na>|\\n)?"
NO_ID = r"(?i)(nan|null|none|<na>|\\n)?"  # NA is Namibia
# Around values that were copied from a spreadsheet or a web page; the last four have no width
SPACES = r"[\s\v\x{a0}\x{2007}\x{202f}\x{3000}\x{200b}\x{200e}\x{200f}\x{feff}]+"
MARGINS = f"^{SPACES}|{SPACES}$"


@dataclass(frozen=True)
class Check:
    """A check that rejects rows: `bad` is a condition in SQL on the rows of `source`."""

    column: str  # or several, joined by " + "
    bad: str
    what: str
    next_step: str | None = None


@dataclass(frozen=True)
class Refused:
    """Rows that one check rejected, with the first examples."""

    column: str
    what: str
    rows: int
    examples: str
    next_step: str | None

    @property
    def reason(self) -> str:
        return f"{self.column}: {self.what}" if self.column else self.what


class Source:
    """The rows of a CSV or Parquet file as the table `source`, numbered by ROW from 1.

    Lines that are no rows are in the table `rejected`: `line`, `text`, `reason`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        file: Path,
        *,
        stage: Path,
        text: Sequence[str] = (),
        encoding: str | None = None,
    ) -> None:
        """Read `file`; of a CSV the columns named in `text` stay text, others get a type.

        Raises UserError if there is no such file, if it cannot be read, or has no rows.
        """
        self.connection, self.file = connection, file
        content = text_files.unpack(file, stage)
        connection.execute("CREATE TABLE rejected (line BIGINT, text VARCHAR, reason VARCHAR)")
        try:
            if text_files.is_parquet(content):
                self._read_parquet(content)
            else:
                self._read_csv(text_files.as_utf8(file, content, encoding, stage), text)
        except duckdb.Error as error:
            problem = f"{file}: cannot be read: {short(error)}"
            raise UserError(problem, "if it is damaged, copy or export it again") from error
        if self.rows == 0:
            raise UserError(f"{file}: no rows")

    @property
    def rows(self) -> int:
        """Return the number of all rows of the file, the rejected lines included."""
        return count(self.connection, "source") + count(self.connection, "rejected")

    def _read_parquet(self, file: Path) -> None:
        wide = f"SELECT name FROM parquet_schema({literal(file)}) WHERE precision > 38"
        if found := self.connection.execute(wide).fetchone():  # DuckDB would read other numbers
            raise UserError(
                f"{self.file}: column {found[0]} has decimals of more than 38 digits",
                "cast it to DECIMAL(38, 2) or DOUBLE, then: lab data import FILE",
            )
        self._number(f"read_parquet({literal(file)})", {})

    def _read_csv(self, file: Path, text: Sequence[str]) -> None:
        delimiter, names = text_files.header_of(file)
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        self.connection.execute(
            f"CREATE TABLE lines AS SELECT * FROM read_csv({literal(file)}, auto_detect = false, "
            f"header = true, delim = {literal(delimiter)}, quote = '\"', escape = '\"', "
            f"nullstr = '', columns = {{{columns}}}, store_rejects = true)"
        )
        self.connection.execute(
            "INSERT INTO rejected SELECT line, any_value(csv_line), any_value(error_message) "
            "FROM reject_errors GROUP BY line ORDER BY line"
        )
        self._number("lines", {name: self._type_of(name) for name in names if name not in text})
        self.connection.execute("DROP TABLE lines")

    def _type_of(self, column: str) -> str:
        """Return the first type in which every value of a text column can be read."""
        value = value_of(column)
        fits = ", ".join(f"coalesce(bool_and({fit.format(value)}), true)" for fit in TYPES.values())
        found = self.connection.execute(f"SELECT {fits} FROM lines").fetchone()
        assert found is not None
        return next((kind for kind, is_it in zip(TYPES, found, strict=True) if is_it), "VARCHAR")

    def _number(self, relation: str, types: dict[str, str]) -> None:
        """Create `source`; NaN becomes null, and in a text column the usual words for no value."""
        described = self.connection.execute(f"DESCRIBE FROM {relation}").fetchall()
        selected = []
        for name, kind, *_ in described:
            read = f"{value_of(name)}::{types[name]}" if name in types else quoted(name)
            if types.get(name, kind) in ("DOUBLE", "FLOAT"):
                read = f"CASE WHEN NOT isnan({read}) THEN {read} END"
            selected.append(f"{read} AS {quoted(name)}")
        self.columns = [name for name, *_ in described]
        self.connection.execute(
            f"CREATE TABLE source AS SELECT row_number() OVER () AS {ROW}, "
            f"{', '.join(selected)} FROM {relation}"
        )

    def types(self) -> dict[str, str]:
        """Return the type of each column, by name."""
        described = self.connection.execute("DESCRIBE FROM source").fetchall()
        return {name: kind for name, kind, *_ in described[1:]}

    def refuse(self, checks: Sequence[Check]) -> list[Refused]:
        """Fill the table `refused`: ROW and REASON, the first check that a row fails.

        Returns the rejected rows of each check, rejected lines first.
        """
        cases = " ".join(f"WHEN {check.bad} THEN {n}" for n, check in enumerate(checks))
        self.connection.execute(
            f"CREATE TABLE failed AS SELECT {ROW}, CASE {cases} END AS {CHECK} FROM source "
            f"WHERE {CHECK} IS NOT NULL"
        )
        found = [self._rejected(), *(self._failed(n, check) for n, check in enumerate(checks))]
        self.connection.execute(
            f"CREATE TABLE refused AS SELECT {ROW}, ($1::VARCHAR[])[{CHECK} + 1] AS {REASON} "
            "FROM failed",
            [[check.reason for check in found[1:]]],
        )
        return [refused for refused in found if refused.rows]

    def _rejected(self) -> Refused:
        lines = self.connection.execute(f"FROM rejected LIMIT {EXAMPLES}").fetchall()
        examples = ", ".join(f"line {line}: {text[:SHOWN]!r}, {why}" for line, text, why in lines)
        return Refused(
            "", "not a row of the table", count(self.connection, "rejected"), examples, None
        )

    def _failed(self, number: int, check: Check) -> Refused:
        value = ", ".join(quoted(name) for name in check.column.split(" + "))
        examples = self.connection.execute(
            f"SELECT {ROW}, concat_ws(' + ', {value}) FROM failed JOIN source USING ({ROW}) "
            f"WHERE {CHECK} = {number} ORDER BY {ROW} LIMIT {EXAMPLES}"
        ).fetchall()
        shown = ", ".join(f"row {place}: {text[:SHOWN]!r}" for place, text in examples)
        counted = count(self.connection, f"failed WHERE {CHECK} = {number}")
        return Refused(check.column, check.what, counted, shown, check.next_step)

    def check_condition(self, option: str, condition: str) -> None:
        """Raise a UserError if condition is no SQL condition on the file's columns."""
        try:
            self.connection.execute(f"SELECT count(({condition})::BOOLEAN) FROM source").fetchone()
        except duckdb.Error as error:
            raise UserError(
                f"{self.file}: {option} {condition!r}: {short(error)}",
                f"lab data import {self.file} {option} 'COLUMN > 0'",
            ) from error


def value_of(column: str, missing: str = NO_VALUE) -> str:
    """Return the trimmed text of a column; null for the usual words for no value.

    A regular expression: a list of words takes 2 GiB where a file has 400 columns.
    """
    text = text_of(column)
    return f"CASE WHEN NOT regexp_full_match({text}, {literal(missing)}) THEN {text} END"


def text_of(column: str) -> str:
    """Return the trimmed text of a column."""
    return f"regexp_replace({quoted(column)}::VARCHAR, {literal(MARGINS)}, '', 'g')"


def short(error: Exception) -> str:
    """Return the first lines of DuckDB's error, without its advice."""
    lines = [line for line in str(error).split("Possible fixes")[0].splitlines() if line.strip()]
    return "; ".join(lines[:EXAMPLES])
