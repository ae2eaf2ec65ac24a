"""The point-in-time join in plain Python: one loop over all rows for each asked row."""

from datetime import timedelta
from typing import Any

Row = dict[str, Any]


def by_hand(
    asked: Row,
    rows: list[Row],
    keys: dict[str, str],
    ttl: timedelta | None,
    *,
    time: str,
    created: str | None,
    known_only: bool,
) -> Row | None:
    """The newest of `rows` that counts; created, then place, decides between equal times.

    `keys` tells what the asked row calls each key of the rows.
    """
    t = asked[time]

    def counts(row: Row) -> bool:
        is_asked = all(row[k] is not None and row[k] == asked[name] for k, name in keys.items())
        is_in_time = row[time] <= t and (not ttl or t - row[time] <= ttl)
        is_known = not created or (row[created] is not None and row[created] <= t)
        return is_asked and is_in_time and (is_known or not known_only)

    def age(numbered: tuple[int, Row]) -> tuple[Any, ...]:
        place, row = numbered
        when = row[created] if created else None
        return row[time], when is not None, when or row[time], place

    numbered = [(place, row) for place, row in enumerate(rows) if counts(row)]
    return max(numbered, key=age)[1] if numbered else None
