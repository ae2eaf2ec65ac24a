"""A point-in-time join on polars: for each entity row, the newest feature row at its time.

Of a view's rows with the same keys: the newest with time <= t and time >= t - TTL; of two rows of
one time the one created last. With `known_only` a row counts from its created time.
Uses no Feast objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

# Columns of this module; no feature has such a name.
TIME, CREATED, ROW = "feast_plugins.time", "feast_plugins.created", "feast_plugins.row"
PLACE, AGE, BEST = "feast_plugins.place", "feast_plugins.age", "feast_plugins.best"


@dataclass(frozen=True)
class Timeline:
    """A view's rows, ordered for lookup.

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
    rows = _coded(rows.drop_nulls([*keys, TIME, *([CREATED] if known_only else [])]), keys)
    order = _oldest_first(rows)
    moments = rows.select(*keys, TIME)[order].with_columns(order.alias(BEST))
    if known_only:
        moments = _when_known(moments.with_columns(rows[CREATED][order]), keys)
    features = rows.drop([*keys, CREATED], strict=False)
    return Timeline(tuple(keys), moments, features, ttl or None)


def _coded(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return text keys as codes, which are cheaper to move and to compare."""
    texts = [key for key in keys if rows.schema[key] == pl.String]
    return rows.with_columns(pl.col(key).cast(pl.Enum(rows[key].unique())) for key in texts)


def _oldest_first(rows: pl.DataFrame) -> pl.Series:
    """Return the positions of the rows in order of TIME, then CREATED (null first), then position.

    Two stable sorts by one column: polars takes several times as long for one sort by two.
    """
    times = [column for column in (CREATED, TIME) if column in rows.columns]
    order = rows.select(times).with_row_index(PLACE)
    for column in times:
        order = order.sort(column, maintain_order=True)
    return order[PLACE]


def _when_known(oldest_first: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return, from each arrival on, the newest row so far; rows may arrive in any order."""
    arrivals = (
        oldest_first.with_columns(pl.max_horizontal(TIME, CREATED).alias(TIME))
        .with_row_index(AGE)
        .sort(TIME, maintain_order=True)
    )
    newest_so_far = pl.col(AGE).cum_max()
    newest = arrivals.select(newest_so_far.over(keys) if keys else newest_so_far)
    return arrivals.select(*keys, TIME, oldest_first[BEST][newest[AGE]].alias(BEST))


def in_order(entities: pl.DataFrame) -> pl.DataFrame:
    """Return the times of the entity rows, TIME, in order, each with its position, `ROW`.

    TIME is in UTC microseconds; the result serves any join of these rows.
    """
    return entities.select(TIME).with_row_index(ROW).sort(TIME)


def join(entities: pl.DataFrame, moments: pl.DataFrame, of: Timeline) -> pl.DataFrame:
    """Return the features of each row of `entities`, in its order; null where no row counts.

    `entities` has the timeline's keys; `moments` is the result of `in_order` for it.
    """
    return of.rows.drop(TIME)[best_rows(entities, moments, of)]


def best_rows(entities: pl.DataFrame, moments: pl.DataFrame, of: Timeline) -> pl.Series:
    """Return each row's match in `of.rows`, by position; null where no row counts."""
    types = of.moments.schema
    keys = entities.select(alike(key, entities.schema[key], types[key]) for key in of.keys)
    lookups = moments.with_columns(keys[key].gather(moments[ROW]) for key in of.keys)
    found = lookups.join_asof(of.moments, on=TIME, by=list(of.keys) or None, check_sortedness=False)
    if of.ttl is not None:
        is_alive = of.rows[TIME].gather(found[BEST]) >= pl.col(TIME) - of.ttl
        found = found.with_columns(pl.when(is_alive).then(BEST).alias(BEST))
    return pl.zeros(len(found), found.schema[BEST], eager=True).scatter(found[ROW], found[BEST])


def alike(key: str, given: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """Return a key in the timeline's type; null, which no row has, if that type lacks the value."""
    if given == wanted:
        return pl.col(key)
    if isinstance(wanted, pl.Enum):
        return pl.col(key).cast(pl.String).cast(wanted, strict=False)
    converted = pl.col(key).cast(wanted, strict=False)
    is_same = converted.cast(given, strict=False) == pl.col(key)
    return pl.when(is_same).then(converted).alias(key)
