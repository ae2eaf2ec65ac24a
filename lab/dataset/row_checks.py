"""Checks of every row of a user's table, and the sentence for rows that fail."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from lab.dataset import times
from lab.dataset.features import EPOCH
from lab.dataset.localtime import find_zone
from lab.dataset.mapping import ENTITIES, HAS_ZONE, MOMENT, Columns, ImportOptions, truth_value
from lab.dataset.source import NO_ID, Check, Refused, value_of
from lab.errors import UserError

MOST = 92_233_720_368_547_758  # dollars, of which the cents are a 64-bit integer
AHEAD = timedelta(days=1)


def checks(columns: Columns, options: ImportOptions, now: datetime) -> list[Check]:
    """Return the checks of every row, in the order in which a user would make them."""
    return [
        *(
            Check(name, f"{value_of(name, NO_ID)} IS NULL", "without a value")
            for ours, name in columns.names.items()
            if ours in ENTITIES
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
        Check(name, f"{amount} > 0 AND {amount} < 0.005", "less than a cent"),
        Check(name, f"{amount} >= {MOST}", "too large: more than 64-bit cents"),
    ]


def time_checks(columns: Columns, options: ImportOptions, now: datetime) -> list[Check]:
    name, command = columns.names["event_timestamp"], f"lab data import {columns.source.file}"
    text, unit = columns.text("event_timestamp"), options.epoch
    found = [
        Check(name, times.is_plausible(text, other), what, f"{command} --epoch {other}")
        for other, what in times.NUMBER_OF.items()
        if other != unit
    ]
    wanted = times.NUMBER_OF[unit] if unit else "an ISO date and time"
    found += [
        Check(name, f"{MOMENT} IS NULL", f"not {wanted}"),
        Check(name, f"{MOMENT} < {_bound(EPOCH, options)}", "before 1970"),
        Check(name, f"{MOMENT} > {_bound(now + AHEAD, options)}", "more than a day after now"),
    ]
    if options.timezone is None:
        zone = f"{command} --timezone UTC  (or where they were written, such as Europe/Berlin)"
        found.append(Check(name, f"NOT {HAS_ZONE}", "without a time zone", zone))
    return found


def _bound(moment: datetime, options: ImportOptions) -> str:
    """Return the moment as a row's time is written: in UTC, or in its local time."""
    local = moment.astimezone(find_zone(options.timezone or "UTC"))
    form = "TIMESTAMP '%Y-%m-%d %H:%M:%S'"
    return f"CASE WHEN {HAS_ZONE} THEN {moment:{form}} ELSE {local:{form}} END"


def other_checks(columns: Columns) -> list[Check]:
    found, names = [], columns.names
    if "is_approved" in names:
        approved = truth_value(names["is_approved"])
        found.append(Check(names["is_approved"], f"{approved} IS NULL", "neither true nor false"))
    if "label" in names and not columns.has_condition:
        is_text = columns.source.types()[names["label"]] == "VARCHAR"
        condition = "= 'fraud'" if is_text else "> 0"
        next_step = f'lab data import {columns.source.file} --label "{names["label"]} {condition}"'
        wrong = f"{value_of(names['label'])} IS NOT NULL AND ({columns.label}) IS NULL"
        found.append(Check(names["label"], wrong, "neither 0 nor 1", next_step))
    if columns.id_columns:
        column = " + ".join(columns.id_columns)
        empty = [f"{value_of(c, NO_ID)} IS NULL" for c in columns.id_columns]
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
