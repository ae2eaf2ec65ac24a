"""Convert local times to UTC, by one rule where clocks change.

A local time that happens twice (clocks go back) or not at all (clocks go forward) is read with the
offset that was in force before the change: the first of the two, or an hour later than written.
"""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import duckdb
import pyarrow as pa

from lab.errors import UserError

SLOT = "time_bucket(INTERVAL 15 MINUTE, {})"  # clocks change at full quarters of an hour


@cache
def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of a name in upper or lower case."""
    known = {zone.lower(): zone for zone in available_timezones()}
    try:
        return ZoneInfo(known[name.strip().lower()])
    except KeyError as error:
        raise UserError(
            f"--timezone {name}: no such time zone", "lab data import FILE --timezone Europe/Berlin"
        ) from error


def resolve_local_times(
    connection: duckdb.DuckDBPyConnection, rows: str, zone: ZoneInfo | None
) -> dict[str, int]:
    """Turn the column local_time (null where the zone was given) of the table rows into time_utc.

    Returns how many rows were ambiguous, and how many missing, in local time.
    """
    if zone is None:
        return {}
    slot = SLOT.format("local_time")
    slots = connection.execute(
        f"SELECT DISTINCT {slot} FROM {rows} WHERE local_time IS NOT NULL ORDER BY 1"
    ).fetchall()
    connection.register("offsets", offsets([slot for (slot,) in slots], zone))
    connection.execute(
        f"""UPDATE {rows} SET time_utc = local_time - to_microseconds(offset_us)
            FROM offsets WHERE {slot} = offsets.slot"""
    )
    counted = connection.execute(
        f"""SELECT count(*) FILTER (kind = 'ambiguous'), count(*) FILTER (kind = 'missing')
            FROM {rows} JOIN offsets ON {slot} = offsets.slot"""
    ).fetchone()
    assert counted is not None
    return {"ambiguous": counted[0], "missing": counted[1]}


def offsets(slots: list[datetime], zone: ZoneInfo) -> pa.Table:
    """Return, for each local time, the offset before any change, and the kind of time."""
    rows = []
    for slot in slots:
        before = slot.replace(tzinfo=zone, fold=0).utcoffset()
        after = slot.replace(tzinfo=zone, fold=1).utcoffset()
        assert before is not None
        assert after is not None
        kind = "plain" if before == after else "ambiguous" if before > after else "missing"
        rows.append({"slot": slot, "offset_us": round(before.total_seconds() * 1e6), "kind": kind})
    schema = pa.schema({"slot": pa.timestamp("us"), "offset_us": pa.int64(), "kind": pa.string()})
    return pa.Table.from_pylist(rows, schema=schema)
