"""A point-in-time join on polars: for each asked row, the row that was newest at its moment.

Of a view's rows with the asked keys: the newest with time <= t and time >= t - TTL; of two rows of
one time the one created last. With `known_only` a row counts from the moment it was created.
Knows nothing of Feast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

TIME, CREATED = "__time", "__created"
ASKED = "__asked"
PLACE, BEST = "__place", "__best"


@dataclass(frozen=True)
class Timeline:
    """A view's rows, ready to be asked.

    `moments` has the join keys and TIME (when a row begins to count), in order of TIME. `rows` has
    the features and TIME (the event time); row `BEST` of it is the answer from that moment on.
    """

    keys: tuple[str, ...]
    moments: pl.DataFrame
    rows: pl.DataFrame
    ttl: timedelta | None


def timeline(
    rows: pl.DataFrame, keys: Sequence[str], ttl: timedelta | None, *, known_only: bool
) -> Timeline:
    """Order a view's rows once, for any number of joins.

    `rows` has the join keys, TIME and, if the source has one, CREATED, both in UTC microseconds;
    all other columns are features.
    """
    known_only = known_only and CREATED in rows.columns
    rows = rows.drop_nulls([*keys, TIME, *([CREATED] if known_only else [])])
    rows = rows[_oldest_first(rows)].with_row_index(PLACE)
    if known_only:
        moments = _when_known(rows, keys)
    else:
        moments = rows.select(*keys, TIME, pl.col(PLACE).alias(BEST))
    features = rows.drop([*keys, PLACE, CREATED], strict=False)
    return Timeline(tuple(keys), moments, features, ttl or None)


def _oldest_first(rows: pl.DataFrame) -> pl.Series:
    """The places of the rows in order of TIME, then CREATED (null first), then place.

    Two stable sorts by one column: polars takes several times as long for one sort by two.
    """
    times = [column for column in (CREATED, TIME) if column in rows.columns]
    order = rows.select(times).with_row_index(PLACE)
    for column in times:
        order = order.sort(column, maintain_order=True)
    return order[PLACE]


def _when_known(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """From each arrival on, the newest row that had arrived: rows need not arrive in order."""
    arrivals = rows.select(
        *keys, pl.max_horizontal(TIME, CREATED).alias(TIME), pl.col(PLACE).alias(BEST)
    ).sort(TIME, maintain_order=True)
    newest_so_far = pl.col(BEST).cum_max()
    return arrivals.with_columns(newest_so_far.over(keys) if keys else newest_so_far)


def in_order(asked: pl.DataFrame) -> pl.DataFrame:
    """Asked rows in order of TIME, ready for any number of joins; each keeps its place, ASKED."""
    return asked.with_row_index(ASKED).sort(TIME)


def join(asked: pl.DataFrame, of: Timeline) -> pl.DataFrame:
    """The features of each asked row, in the order of ASKED; null where no row counts.

    `asked` comes from `in_order`; it has the timeline's keys and TIME, in UTC microseconds.
    """
    keys = [_alike(key, asked.schema[key], of.moments.schema[key]) for key in of.keys]
    found = asked.select(ASKED, TIME, *keys).join_asof(
        of.moments, on=TIME, by=list(of.keys) or None, check_sortedness=False
    )
    if of.ttl is not None:
        is_alive = of.rows[TIME].gather(found[BEST]) >= pl.col(TIME) - of.ttl
        found = found.with_columns(pl.when(is_alive).then(BEST).alias(BEST))
    best = pl.zeros(len(found), found.schema[BEST], eager=True).scatter(found[ASKED], found[BEST])
    return of.rows.drop(TIME)[best]


def _alike(key: str, asked: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """A key in the timeline's type; null, which no row has, if that type has no such value."""
    if asked == wanted:
        return pl.col(key)
    converted = pl.col(key).cast(wanted, strict=False)
    is_same = converted.cast(asked, strict=False) == pl.col(key)
    return pl.when(is_same).then(converted).alias(key)
