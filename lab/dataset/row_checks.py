"""Checks of every row of a user's table, and the sentence for rows that fail."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from lab.dataset import times
from lab.dataset.mapping import ENTITIES, HAS_ZONE, MOMENT, Columns, ImportOptions
from lab.dataset.session import literal, quoted
from lab.dataset.source import Check, Refused, value_of
from lab.errors import UserError

MOST = 92_233_720_368_547_758  # dollars, of which the cents are a 64-bit integer
AHEAD = timedelta(days=1)


def checks(columns: Columns, options: ImportOptions, now: datetime) -> list[Check]:
    """Return the checks of every row, in the order in which a user would make them."""
    return [
        *(
            Check(
                columns.names[name], f"coalesce({columns.text(name)}, '') = ''", "without a value"
            )
            for name in ENTITIES
            if name in columns.names
        ),
        *amount_checks(columns),
        *time_checks(columns, options, now),
        *other_checks(columns),
    ]


def amount_checks(columns: Columns) -> list[Check]:
    name, amount = columns.names["amount"], columns.amount
    return [
        Check(name, f"{amount} IS NULL", "not a number"),
        Check(name, f"NOT isfinite({amount})", "not a finite number"),
        Check(name, f"{amount} < 0", "negative"),
        Check(name, f"{amount} >= {MOST}", "too large: more than 64-bit cents"),
    ]


def time_checks(columns: Columns, options: ImportOptions, now: datetime) -> list[Check]:
    name, command = columns.names["event_timestamp"], f"lab data import {columns.source.file}"
    latest = f"TIMESTAMP '{now + AHEAD:%Y-%m-%d %H:%M:%S}'"
    # A local time of the first day may be before 1970 in UTC
    earliest = f"CASE WHEN {HAS_ZONE} THEN DATE '1970-01-01' ELSE DATE '1970-01-02' END"
    if options.epoch:
        unread = Check(
            name, f"{MOMENT} IS NULL", f"not a number of {times.UNITS[options.epoch]} since 1970"
        )
    elif unit := likely_unit(columns):
        what = f"not an ISO date and time, but numbers, such as {times.UNITS[unit]} since 1970"
        unread = Check(name, f"{MOMENT} IS NULL", what, f"{command} --epoch {unit}")
    else:
        unread = Check(name, f"{MOMENT} IS NULL", "not an ISO date and time")
    found = [
        unread,
        Check(name, f"{MOMENT} < {earliest}", "before 1970"),
        Check(name, f"{MOMENT} > {latest}", "more than a day after now"),
    ]
    if options.timezone is None:
        zone = f"{command} --timezone UTC  (or where they were written, such as Europe/Berlin)"
        found.append(Check(name, f"NOT {HAS_ZONE}", "without a time zone", zone))
    return found


def likely_unit(columns: Columns) -> str | None:
    """Return the unit of times that are numbers since 1970; None where they are something else."""
    text = columns.text("event_timestamp")
    found = columns.source.connection.execute(
        f"SELECT TRY_CAST({text} AS DOUBLE) FROM source "
        f"WHERE {MOMENT} IS NULL AND regexp_matches({text}, {literal(times.NUMBER)}) LIMIT 1"
    ).fetchone()
    return times.likely_unit(found[0]) if found else None


def other_checks(columns: Columns) -> list[Check]:
    found, names = [], columns.names
    if "is_approved" in names:
        approved = f"TRY_CAST({columns.text('is_approved')} AS BOOLEAN)"
        found.append(Check(names["is_approved"], f"{approved} IS NULL", "neither true nor false"))
    if "label" in names and not columns.has_condition:
        next_step = f"lab data import {columns.source.file} --label '{names['label']} > 0'"
        wrong = f"{value_of(names['label'])} IS NOT NULL AND ({columns.label}) IS NULL"
        found.append(Check(names["label"], wrong, "neither 0 nor 1", next_step))
    if columns.id_columns:
        column = " + ".join(columns.id_columns)
        empty = [f"coalesce(trim({quoted(c)}::VARCHAR), '') = ''" for c in columns.id_columns]
        doubled = f"SELECT {columns.row_id} FROM source GROUP BY ALL HAVING count(*) > 1"
        found.append(Check(column, " OR ".join(empty), "an empty id"))
        found.append(Check(column, f"{columns.row_id} IN ({doubled})", "with a duplicate id"))
    return found


def require_none(file: Path, refused: Sequence[Refused]) -> None:
    """Raise a UserError for the first kind of rejected rows: how many, with three examples."""
    if not refused:
        return
    first = refused[0]
    column = f"column {first.column}: " if first.column else ""
    others = sum(each.rows for each in refused[1:])
    more = f"; {others:,} more for other reasons" if others else ""
    raise UserError(
        f"{file}: {column}{first.rows:,} of its rows {first.what} ({first.examples}){more}",
        first.next_step or f"lab data import {file} --dry-run  (or --skip-bad for the good rows)",
    )
