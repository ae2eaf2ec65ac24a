"""Anyone's table of transactions as our raw events. What the source lacks stays absent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from lab.dataset.features import EPOCH, microseconds
from lab.dataset.localtime import find_zone, resolve_local_times
from lab.dataset.manifest import Manifest
from lab.dataset.mapping import ENTITIES, TEXTS, check_rows, find_columns, mapped_rows
from lab.dataset.release import release
from lab.dataset.session import connect, literal
from lab.dataset.source import Source
from lab.dataset.tables import IMPORTED, staging
from lab.errors import UserError
from lab.settings import settings

WEEK = timedelta(weeks=1)


def import_table(
    data_dir: Path,
    file: Path,
    *,
    columns: Mapping[str, str],
    as_of: datetime | None = None,
    id_columns: Sequence[str] = (),
    label: str | None = None,
    label_meaning: str | None = None,
    timezone: str | None = None,
    shift_to_now: bool = False,
    name: str | None = None,
) -> Manifest:
    """Replace the dataset in data_dir by the transactions in file (CSV or Parquet).

    columns: our column -> the source's; one that is not named is looked for under our name. label:
    an SQL condition on the source's columns, known at once. timezone: of times without an offset.
    shift_to_now: move all times by whole weeks so that the last one falls in the week before as_of.
    as_of: None is the first full hour after the last event. Raises UserError for whatever is wrong
    with the file; the old data then stay as they were.
    """
    zone = find_zone(timezone) if timezone else None
    with staging(data_dir) as stage, connect(stage) as connection:
        texts = [columns.get(column, column) for column in TEXTS]
        found = find_columns(
            Source(connection, file, [*texts, *id_columns]), columns, id_columns, label
        )
        check_rows(found, zone_given=zone is not None)
        connection.execute(f"CREATE TABLE mapped AS {mapped_rows(found)}")
        resolved = resolve_local_times(connection, "mapped", zone)
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
            absent=found.absent,
            resolved_local_hours=resolved,
            label=label_meaning or found.label or "none",
        )
        return release(described, stage, data_dir, replace=True)


def import_complete_journey(data_dir: Path, as_of: datetime) -> Manifest:
    """The real data beside this project: groceries, shifted to end in the week before as_of."""
    with staging(data_dir) as stage, connect(stage) as connection:
        baskets = stage / "baskets.parquet"
        write_baskets(connection, settings.complete_journey, baskets)
        return import_table(
            data_dir,
            baskets,
            columns={
                "transaction_id": "basket_id",
                "user_id": "household_id",
                "merchant_id": "store_id",
                "event_timestamp": "transaction_timestamp",
            },
            as_of=as_of,
            label="has_coupon",
            label_meaning="a coupon was redeemed",
            timezone="UTC",
            shift_to_now=True,
            name="complete_journey",
        )


def write_baskets(connection: duckdb.DuckDBPyConnection, lines: Path, file: Path) -> None:
    """Write one payment for each basket of grocery lines that has a value.

    The amount is what the basket was worth before coupons: its paid amount would give away that a
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
    """The first and the last moment of the mapped rows."""
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
    """Write what of an imported history happened before as_of as the transactions of stage."""
    until = microseconds(as_of - EPOCH)
    connection.execute(
        f"""COPY (
            SELECT * FROM read_parquet({literal(history)})
            WHERE event_timestamp < make_timestamptz({until})
        ) TO {literal(stage / "transactions.parquet")} (FORMAT parquet, COMPRESSION zstd)"""
    )
