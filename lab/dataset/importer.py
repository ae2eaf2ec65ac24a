"""Import a table of transactions as raw events. What the source lacks stays absent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from lab.dataset.features import EPOCH, microseconds
from lab.dataset.localtime import find_zone, resolve_local_times
from lab.dataset.manifest import Manifest
from lab.dataset.mapping import (
    ENTITIES,
    PARSED,
    Columns,
    ImportOptions,
    find_columns,
    mapped_rows,
    preview_rows,
)
from lab.dataset.release import release
from lab.dataset.row_checks import checks, require_none
from lab.dataset.session import connect, count, literal
from lab.dataset.source import REASON, ROW, Refused, Source
from lab.dataset.tables import IMPORTED, REFUSED, staging
from lab.errors import UserError
from lab.settings import settings, utc_now

WEEK = timedelta(weeks=1)
SHOWN = 5  # rows of a preview


@dataclass(frozen=True)
class Preview:
    """Preview of an import: the mapping, the first rows, and the rejected ones."""

    types: Mapping[str, str]
    columns: Columns
    sample: list[dict[str, object]]
    rows: int
    refused: list[Refused]


def preview_table(data_dir: Path, file: Path, options: ImportOptions) -> Preview:
    """Read `file` as `import_table` would; change nothing. Raises UserError as it does."""
    with staging(data_dir) as stage, connect(stage) as connection:
        columns, refused = read_table(connection, file, options, stage)
        map_rows(connection, columns, options)
        relation = connection.execute(preview_rows(columns, SHOWN))
        names = [name for name, *_ in relation.description or []]
        sample = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
        types = columns.source.types()
        return Preview(types, columns, sample, columns.source.rows, refused)


def import_table(
    data_dir: Path,
    file: Path,
    options: ImportOptions,
    *,
    as_of: datetime | None = None,
    label_meaning: str | None = None,
    shift_to_now: bool = False,
    name: str | None = None,
) -> Manifest:
    """Replace the dataset in data_dir by the transactions in file (CSV or Parquet).

    shift_to_now: move all times by whole weeks so that the last one falls in the week before as_of.
    as_of: None is the first full hour after the last event. Rows that are refused are an error or,
    with `skip_bad`, in data_dir/refused.csv. Raises UserError for whatever is wrong with the file;
    the old data then stay as they were.
    """
    with staging(data_dir) as stage, connect(stage) as connection:
        columns, refused = read_table(connection, file, options, stage)
        if not options.skip_bad:
            require_none(file, refused)
        if refused:
            write_refused(connection, stage / REFUSED)
        resolved = map_rows(connection, columns, options)
        if count(connection, "mapped") == 0:
            raise UserError(f"{file}: all rows are refused", f"lab data import {file} --dry-run")
        first, last = time_range(connection)
        as_of = as_of or floor_hour(last) + timedelta(hours=1)
        shift = (as_of - last - timedelta.resolution) // WEEK * WEEK if shift_to_now else 0 * WEEK
        if first + shift >= as_of:
            raise UserError(
                f"{file}: all events are later than the as-of, {as_of:%Y-%m-%d %H:%M} UTC",
                f"lab data import {file} --shift-to-now",
            )
        history = stage / f"{IMPORTED}.parquet"
        write_history(connection, shift, history)
        cut(connection, history, stage, as_of)
        if last + shift < as_of:
            history.unlink()
        described = Manifest(
            name=name or file.stem,
            start=floor_hour(first + shift),
            as_of=as_of,
            shifted_weeks=shift // WEEK,
            source_rows=columns.source.rows,
            refused={each.reason: each.rows for each in refused},
            absent=columns.absent,
            resolved_local_hours=resolved,
            label=label_meaning or columns.label_meaning,
        )
        return release(described, stage, data_dir, replace=True)


def read_table(
    connection: duckdb.DuckDBPyConnection, file: Path, options: ImportOptions, stage: Path
) -> tuple[Columns, list[Refused]]:
    """Return the columns of the table `source`, and what its table `refused` has."""
    source = Source(connection, file, stage=stage, text=options.texts, encoding=options.encoding)
    columns = find_columns(source, options)
    return columns, source.refuse(checks(columns, options, utc_now()))


def map_rows(
    connection: duckdb.DuckDBPyConnection, columns: Columns, options: ImportOptions
) -> dict[str, int]:
    """Create the table `mapped`; return how many local times were ambiguous, and missing."""
    connection.execute(f"CREATE TABLE mapped AS {mapped_rows(columns)}")
    zone = None if options.timezone is None else find_zone(options.timezone)
    return resolve_local_times(connection, "mapped", zone)


def write_refused(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Write the rejected rows with their reasons, then the lines that are no rows."""
    connection.execute(
        f"""COPY (
            SELECT * EXCLUDE ({PARSED}) FROM refused JOIN source USING ({ROW})
            UNION ALL BY NAME
            SELECT reason AS {REASON}, line AS "line of the file", text AS "text of the line"
            FROM rejected
            ORDER BY {ROW}, "line of the file"
        ) TO {literal(file)} (FORMAT csv, HEADER)"""
    )


def import_complete_journey(data_dir: Path, as_of: datetime) -> Manifest:
    """Import the real data of this project: groceries, shifted to end in the week before as_of."""
    with staging(data_dir) as stage, connect(stage) as connection:
        baskets = stage / "baskets.parquet"
        write_baskets(connection, settings.complete_journey, baskets)
        return import_table(
            data_dir,
            baskets,
            ImportOptions(
                columns={
                    "transaction_id": "basket_id",
                    "user_id": "household_id",
                    "merchant_id": "store_id",
                    "event_timestamp": "transaction_timestamp",
                },
                label="has_coupon",
                timezone="UTC",
            ),
            as_of=as_of,
            label_meaning="a coupon was redeemed",
            shift_to_now=True,
            name="complete_journey",
        )


def write_baskets(connection: duckdb.DuckDBPyConnection, lines: Path, file: Path) -> None:
    """Write one payment for each basket of grocery lines that has a value.

    The amount is the basket's value before coupons: its paid amount would reveal that a
    coupon was used. The product is the one of the most valuable line.
    """
    connection.execute(
        f"""COPY (
            SELECT basket_id, household_id, store_id, transaction_timestamp,
                arg_max(product_id, (value, product_id)) AS product_id,
                sum(value) AS amount, bool_or(coupon_disc > 0) AS has_coupon
            FROM (SELECT *, sales_value + coupon_disc + coupon_match_disc AS value
                FROM read_parquet({literal(lines)}))
            GROUP BY ALL HAVING sum(value) > 0
            ORDER BY transaction_timestamp, basket_id
        ) TO {literal(file)} (FORMAT parquet)"""
    )


def floor_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def time_range(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime]:
    """Return the first and the last time of the mapped rows."""
    found = connection.execute("SELECT min(time_utc), max(time_utc) FROM mapped").fetchone()
    assert found is not None
    first, last = found
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)


def write_history(connection: duckdb.DuckDBPyConnection, shift: timedelta, file: Path) -> None:
    """Write the mapped rows with our ids, numbered by first appearance, and shifted."""
    connection.execute(
        """CREATE TABLE ordered AS
            SELECT *, row_number() OVER (ORDER BY time_utc, row_number) AS place FROM mapped"""
    )
    for entity in ENTITIES:
        kind = entity.removesuffix("_id")
        connection.execute(
            f"""CREATE TABLE {kind}s AS
                SELECT {entity},
                    '{kind}_' || (row_number() OVER (ORDER BY min(place)) - 1) AS {kind}_name
                FROM ordered WHERE {entity} IS NOT NULL GROUP BY {entity}"""
        )
    connection.execute(
        f"""COPY (
            SELECT transaction_id, user_name AS user_id, merchant_name AS merchant_id,
                product_name AS product_id,
                make_timestamptz(epoch_us(time_utc) + {microseconds(shift)}) AS event_timestamp,
                amount, is_approved, label,
                CASE WHEN label IS NOT NULL THEN event_timestamp END AS label_timestamp
            FROM ordered JOIN users USING (user_id)
                LEFT JOIN merchants USING (merchant_id) LEFT JOIN products USING (product_id)
            ORDER BY event_timestamp, transaction_id
        ) TO {literal(file)} (FORMAT parquet, COMPRESSION zstd)"""
    )


def cut(connection: duckdb.DuckDBPyConnection, history: Path, stage: Path, as_of: datetime) -> None:
    """Write the part of an imported history before as_of as the transactions of stage."""
    until = microseconds(as_of - EPOCH)
    connection.execute(
        f"""COPY (
            SELECT * FROM read_parquet({literal(history)})
            WHERE event_timestamp < make_timestamptz({until})
        ) TO {literal(stage / "transactions.parquet")} (FORMAT parquet, COMPRESSION zstd)"""
    )
