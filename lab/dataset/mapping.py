"""Which columns of somebody's table are which of ours, in SQL; and what its rows must fulfil."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.dataset.session import literal, quoted
from lab.dataset.source import Source
from lab.errors import UserError

REQUIRED = ("user_id", "event_timestamp", "amount")
OPTIONAL = ("merchant_id", "product_id", "transaction_id", "is_approved", "label")
ENTITIES = ("user_id", "merchant_id", "product_id")
TEXTS = (*ENTITIES, "transaction_id", "event_timestamp")
NEVER_IMPORTED = ("product_views", "chargebacks", "refunds")
OFFSET = r":\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)$"  # follows a time of day


@dataclass(frozen=True)
class Columns:
    """The source's column of each of ours, those that make up a row's id, the label's condition."""

    source: Source
    names: Mapping[str, str]
    id_columns: Sequence[str]
    label: str | None

    @property
    def absent(self) -> list[str]:
        has = {**self.names, "transaction_id": self.id_columns, "label": self.label}
        return [
            *NEVER_IMPORTED,
            *(f"transactions.{name}" for name in OPTIONAL if not has.get(name)),
        ]

    def text(self, name: str) -> str:
        return f"trim({quoted(self.names[name])}::VARCHAR)" if name in self.names else "NULL"

    @property
    def amount(self) -> str:
        return f"TRY_CAST({self.text('amount')} AS DOUBLE)"

    @property
    def moment(self) -> str:
        """In UTC if an offset is written, else in local time."""
        text = self.text("event_timestamp")
        return (
            f"CASE WHEN {self.has_offset} THEN TRY_CAST({text} AS TIMESTAMPTZ)::TIMESTAMP "
            f"ELSE TRY_CAST({text} AS TIMESTAMP) END"
        )

    @property
    def has_offset(self) -> str:
        return f"regexp_matches({self.text('event_timestamp')}, {literal(OFFSET)})"

    @property
    def row_id(self) -> str:
        parts = ", ".join(f"{quoted(column)}::VARCHAR" for column in self.id_columns)
        return f"concat_ws('-', {parts})" if parts else "'row_' || row_number"


def find_columns(
    source: Source, names: Mapping[str, str], id_columns: Sequence[str], label: str | None
) -> Columns:
    """Columns as named, else those with our own names. Raises UserError for one not there."""
    known = (*REQUIRED, *OPTIONAL)
    for name in names:
        if name not in known:
            raise UserError(
                f"--map {name}={names[name]}: {name!r} is not one of {', '.join(known)}",
                f"lab data import {source.file} --map user_id={names[name]}",
            )
    for name in (*REQUIRED, *names):
        source.require([names.get(name, name)], f"--map {name}=COLUMN")
    source.require(id_columns, "--id COLUMN")
    wanted = {name: names.get(name, name) for name in known}
    found = {name: column for name, column in wanted.items() if column in source.columns}
    if label is not None:
        source.check_condition("--label", label)
    elif "label" in found:
        label = quoted(found["label"])
    ids = id_columns or [found[name] for name in ("transaction_id",) if name in found]
    return Columns(source, found, ids, label)


def check_rows(columns: Columns, *, zone_given: bool) -> None:
    """Raise a UserError for the first kind of bad row: the column, how many, three examples."""
    refuse, names = columns.source.refuse, columns.names
    for name in ENTITIES:
        if name in names:
            refuse(names[name], f"coalesce({columns.text(name)}, '') = ''", "without a value")
    amount, time = names["amount"], names["event_timestamp"]
    refuse(amount, f"{columns.amount} IS NULL", "not a number")
    refuse(amount, f"NOT isfinite({columns.amount})", "not a finite number")
    refuse(amount, f"{columns.amount} < 0", "negative")
    refuse(time, f"({columns.moment}) IS NULL", "not an ISO date and time")
    refuse(time, f"({columns.moment}) < TIMESTAMP '1970-01-02 00:00:00'", "before 1970")
    if not zone_given:
        zone = f"lab data import {columns.source.file} --timezone Europe/Berlin"
        refuse(time, f"NOT {columns.has_offset}", "without a time zone", zone)
    if "is_approved" in names:
        approved = f"TRY_CAST({columns.text('is_approved')} AS BOOLEAN)"
        refuse(names["is_approved"], f"{approved} IS NULL", "neither true nor false")
    check_ids(columns)


def check_ids(columns: Columns) -> None:
    if columns.id_columns:
        doubled = f"SELECT {columns.row_id} FROM source GROUP BY ALL HAVING count(*) > 1"
        columns.source.refuse(
            " + ".join(columns.id_columns),
            f"{columns.row_id} IN ({doubled})",
            "with a duplicate id",
        )


def mapped_rows(columns: Columns) -> str:
    """The query that gives the source's rows with our columns; ids are still the source's."""
    approved = (
        f"{columns.text('is_approved')}::BOOLEAN" if "is_approved" in columns.names else "true"
    )
    label = f"({columns.label})::BOOLEAN::BIGINT" if columns.label else "NULL::BIGINT"
    return f"""
        SELECT row_number, {columns.row_id} AS transaction_id,
            {columns.text("user_id")} AS user_id,
            {columns.text("merchant_id")} AS merchant_id,
            {columns.text("product_id")} AS product_id,
            CASE WHEN {columns.has_offset} THEN {columns.moment} END AS time_utc,
            CASE WHEN NOT {columns.has_offset} THEN {columns.moment} END AS local_time,
            round({columns.amount} * 100) / 100 AS amount,
            {approved} AS is_approved, {label} AS label
        FROM source"""
