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
    rows = rows.drop_nulls([*keys, TIME])
    has_created = CREATED in rows.columns
    if known_only and has_created:
        rows = rows.drop_nulls(CREATED)
    order = [TIME, CREATED] if has_created else [TIME]
    rows = rows.sort(order, nulls_last=False, maintain_order=True).with_row_index(PLACE)
    if known_only and has_created:
        moments = _when_known(rows, keys)
    else:
        moments = rows.select(*keys, TIME, pl.col(PLACE).alias(BEST))
    features = rows.drop([*keys, PLACE, CREATED], strict=False)
    return Timeline(tuple(keys), moments, features, ttl or None)


def _when_known(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """From each arrival on, the newest row that had arrived: rows need not arrive in order."""
    arrivals = rows.select(
        *keys, pl.max_horizontal(TIME, CREATED).alias(TIME), pl.col(PLACE).alias(BEST)
    ).sort(TIME, maintain_order=True)
    newest_so_far = pl.col(BEST).cum_max()
    return arrivals.with_columns(newest_so_far.over(keys) if keys else newest_so_far)


def join(asked: pl.DataFrame, of: Timeline) -> pl.DataFrame:
    """The features of each row of `asked`, in its order; null where no row counts.

    `asked` has the timeline's keys and TIME, in UTC microseconds.
    """
    numbered = asked.select(*of.keys, TIME).with_row_index(ASKED).sort(TIME)
    found = numbered.join_asof(
        of.moments, on=TIME, by=list(of.keys) or None, check_sortedness=False
    )
    found = found.sort(ASKED)
    answers = of.rows[found[BEST]] if len(of.rows) else of.rows.clear(len(found))
    if of.ttl is not None:
        is_alive = answers[TIME] >= found[TIME] - of.ttl
        nothing = pl.lit(None)
        answers = answers.select(pl.when(is_alive).then(pl.all()).otherwise(nothing))
    return answers.drop(TIME)
