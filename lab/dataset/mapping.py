"""Map the columns of a user's table to ours, in SQL."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.dataset import times
from lab.dataset.session import quoted
from lab.dataset.source import ROW, Source, text_of, value_of
from lab.dataset.text_files import DELIMITERS
from lab.errors import UserError

REQUIRED = ("user_id", "event_timestamp", "amount")
OPTIONAL = ("merchant_id", "product_id", "transaction_id", "is_approved", "label")
KNOWN = (*REQUIRED, *OPTIONAL)
ENTITIES = ("user_id", "merchant_id", "product_id")
TEXTS = (*ENTITIES, "transaction_id", "event_timestamp")
NEVER_IMPORTED = ("product_views", "chargebacks", "refunds")
PARSED = quoted("time parsed by the lab")
MOMENT, HAS_ZONE = f"{PARSED}.moment", f"{PARSED}.has_zone"


@dataclass(frozen=True)
class ImportOptions:
    """Options for reading a user's table.

    columns: our column -> the source's; one that is not named is looked for under our name. label:
    an SQL condition on the source's columns. timezone: of times without an offset. epoch: the unit
    of times that are numbers since 1970. encoding: of a CSV file that is not UTF-8. skip_bad: take
    the good rows only.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    id_columns: Sequence[str] = ()
    label: str | None = None
    timezone: str | None = None
    epoch: str | None = None
    encoding: str | None = None
    skip_bad: bool = False

    @property
    def texts(self) -> list[str]:
        """The source's columns that stay text."""
        return [*(self.columns.get(column, column) for column in TEXTS), *self.id_columns]


@dataclass(frozen=True)
class Columns:
    """The source's column of each of ours, those that make up a row's id, the label's condition."""

    source: Source
    names: Mapping[str, str]
    id_columns: Sequence[str]
    label: str | None
    has_condition: bool  # True if the label is a condition that the user gave

    @property
    def absent(self) -> list[str]:
        has = {**self.names, "transaction_id": self.id_columns, "label": self.label}
        return [
            *NEVER_IMPORTED,
            *(f"transactions.{name}" for name in OPTIONAL if not has.get(name)),
        ]

    @property
    def unused(self) -> list[str]:
        """Return the source's columns that are not mapped; a label's condition may read them."""
        used = {*self.names.values(), *self.id_columns}
        return [column for column in self.source.columns if column not in used]

    @property
    def label_meaning(self) -> str:
        """Return the label's condition or column, for the reader of a manifest."""
        if self.label is None:
            return "none"
        return self.label if self.has_condition else f"the column {self.names['label']}"

    def text(self, name: str) -> str:
        return text_of(self.names[name]) if name in self.names else "NULL"

    @property
    def amount(self) -> str:
        return f"TRY_CAST({self.text('amount')} AS DOUBLE)"

    @property
    def row_id(self) -> str:
        r"""Return the id of a row: `a|b` for two columns; a `\` escapes a `|` or `\` inside."""
        if not self.id_columns:
            return f"'row_' || {ROW}"
        if len(self.id_columns) == 1:
            return text_of(self.id_columns[0])
        parts = [
            rf"replace(replace({text_of(column)}, '\', '\\'), '|', '\|')"
            for column in self.id_columns
        ]
        return f"concat_ws('|', {', '.join(parts)})"


def find_columns(source: Source, options: ImportOptions) -> Columns:
    """Return the columns as named, else those with our own names; times are parsed.

    Raises UserError for a column that is not there.
    """
    check_names(source, options)
    names, label = options.columns, options.label
    wanted = {name: names.get(name, name) for name in KNOWN}
    found = {name: column for name, column in wanted.items() if column in source.columns}
    has_condition = label is not None
    if label is not None:
        source.check_condition("--label", label)
    elif "label" in found:
        label = truth_value(found["label"])
    ids = options.id_columns or [found[name] for name in ("transaction_id",) if name in found]
    columns = Columns(source, found, ids, label, has_condition)
    parse_times(columns, options.epoch)
    return columns


def truth_value(column: str) -> str:
    """Return the query expression of a column of labels: true, false, or null for neither."""
    text = f"lower({value_of(column)})"
    number = f"TRY_CAST({text} AS DOUBLE)"
    return (
        f"CASE WHEN {number} = 1 OR {text} IN ('true', 't', 'yes', 'y') THEN true "
        f"WHEN {number} = 0 OR {text} IN ('false', 'f', 'no', 'n') THEN false END"
    )


def check_names(source: Source, options: ImportOptions) -> None:
    """Raise a UserError for unknown names of ours, and for columns that the file lacks."""
    names = options.columns
    for name in names:
        if name not in KNOWN:
            raise UserError(
                f"--map {name}={names[name]}: {name!r} is not one of {', '.join(KNOWN)}",
                f"lab data import {source.file} --map OURS={shlex.quote(names[name])}",
            )
    missing = [name for name in (*REQUIRED, *names) if names.get(name, name) not in source.columns]
    missing = list(dict.fromkeys(missing))
    if missing and len(source.columns) == 1:
        delimiters = ", ".join(repr(one) for one in DELIMITERS)
        raise UserError(
            f"{source.file}: it has one column only, {source.columns[0]!r}",
            f"the names are the first line, separated by one of {delimiters}",
        )
    if missing:
        wanted = ", ".join(repr(names.get(name, name)) for name in missing)
        raise UserError(
            f"{source.file}: no column {wanted}; it has {', '.join(source.columns)}",
            f"lab data import {source.file} {proposed_map(source, options, missing)}",
        )
    absent = [column for column in options.id_columns if column not in source.columns]
    if absent:
        raise UserError(
            f"{source.file}: no column {absent[0]!r}; it has {', '.join(source.columns)}",
            f"lab data import {source.file} --id COLUMN",
        )


def proposed_map(source: Source, options: ImportOptions, missing: Sequence[str]) -> str:
    """Return the options --map: given ones that hold, names but for their case, and gaps."""
    similar = {_letters(column): column for column in reversed(source.columns)}
    pairs = {name: c for name, c in options.columns.items() if c in source.columns}
    for name in KNOWN:
        if name not in pairs and name not in source.columns and _letters(name) in similar:
            pairs[name] = similar[_letters(name)]
    pairs |= {name: "COLUMN" for name in missing if name not in pairs}
    return " ".join(f"--map {shlex.quote(f'{ours}={theirs}')}" for ours, theirs in pairs.items())


def _letters(name: str) -> str:
    """Return a name in lower case, without what is neither a letter nor a digit."""
    return re.sub(r"[\W_]+", "", name).lower()


def parse_times(columns: Columns, epoch: str | None) -> None:
    """Add the column PARSED to `source`, so that DuckDB parses each time once."""
    text = columns.text("event_timestamp")
    parsed = times.parsed_epoch(text, epoch) if epoch else times.parsed_iso(text)
    columns.source.connection.execute(
        f"CREATE OR REPLACE TABLE source AS SELECT *, {parsed} AS {PARSED} FROM source"
    )


def mapped_rows(columns: Columns) -> str:
    """Return the query of the rows that are taken, with our columns; ids are the source's."""
    names = columns.names
    approved = truth_value(names["is_approved"]) if "is_approved" in names else "true"
    label = f"({columns.label})::BOOLEAN::BIGINT" if columns.label else "NULL::BIGINT"
    return f"""
        SELECT {ROW} AS row_number, {columns.row_id} AS transaction_id,
            {columns.text("user_id")} AS user_id,
            {columns.text("merchant_id")} AS merchant_id,
            {columns.text("product_id")} AS product_id,
            CASE WHEN {HAS_ZONE} THEN {MOMENT} END AS time_utc,
            CASE WHEN NOT {HAS_ZONE} THEN {MOMENT} END AS local_time,
            round({columns.amount} * 100) / 100 + 0 AS amount,
            {approved} AS is_approved, {label} AS label
        FROM source ANTI JOIN refused USING ({ROW})"""


def preview_rows(columns: Columns, limit: int) -> str:
    """Return the query of the first rows that are taken, in a readable form."""
    hidden = ["row_number", "time_utc", "local_time"]
    hidden += [name.removeprefix("transactions.") for name in columns.absent if "." in name]
    return f"""
        SELECT time_utc AS "event_timestamp (UTC)", * EXCLUDE ({", ".join(hidden)})
        FROM mapped ORDER BY row_number LIMIT {limit}"""
