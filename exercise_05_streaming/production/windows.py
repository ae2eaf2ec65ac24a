"""The streaming features, each a value at time t, merged from a user's five-minute tiles.

| window    | events at time t                                                     |
|-----------|----------------------------------------------------------------------|
| `5m`      | tumbling: of the running five minutes                                |
| `1h`      | sliding by five minutes: of the last 12 tiles, the running one too   |
| `24h`     | sliding by an hour: of the last 24 hours, the running one too        |
| `session` | of the running session: it is over 30 minutes after its last event   |

A tile is a row: `user_id`, `tile_start` (seconds since 1970, UTC), `transaction_count`,
`total_cents`, `max_cents`, `declined_count`, `first_event` and `last_event` (milliseconds).
"""

import numpy as np
import polars as pl

from lab.settings import settings

TILE_S, HOUR_S, DAY_S = 300, 3_600, 86_400
GAP_MS = int(settings.session_gap.total_seconds() * 1_000)

TILE = pl.Schema(
    {
        "user_id": pl.String(),
        "tile_start": pl.Int64(),
        "transaction_count": pl.Int64(),
        "total_cents": pl.Int64(),
        "max_cents": pl.Int64(),
        "declined_count": pl.Int64(),
        "first_event": pl.Int64(),
        "last_event": pl.Int64(),
    }
)
WINDOWS = ("5m", "1h", "24h", "session")
FEATURES = tuple(
    f"{what}_{window}"
    for window in WINDOWS
    for what in (
        "transaction_count",
        "total_amount",
        "avg_amount",
        "max_amount",
        "declined_count",
    )
)
# What a row of features has beside its features.
EVENT_TIME, VERSION, NEXT_CHANGE = "event_time", "version", "next_change"
ROW = ("user_id", EVENT_TIME, VERSION, NEXT_CHANGE, *FEATURES)

SESSION, SESSION_END = "session", "session_end"


def merged(tiles: pl.DataFrame) -> pl.DataFrame:
    """One row per user and tile, in order: the one of the largest count.

    A tile only grows, so its count is its version, and the order in which versions come is nothing.
    """
    return tiles.sort("user_id", "tile_start", "transaction_count").unique(
        ["user_id", "tile_start"], keep="last", maintain_order=True
    )


def features(tiles: pl.DataFrame, now_ms: int) -> pl.DataFrame:
    """A row per user, ordered by user: every feature at `now_ms`, as merged tiles tell it.

    Beside the features: `event_time`, the newest event in milliseconds, null if there is none yet;
    `version`, which only grows with what is known of a user; `next_change`, when a value changes
    if no event comes, in milliseconds, null for never.
    """
    now_s = now_ms // 1_000
    begun = pl.col("tile_start") <= now_s
    tile_now, hour_now = now_s // TILE_S * TILE_S, now_s // HOUR_S * HOUR_S
    inside = {
        "5m": begun & (pl.col("tile_start") >= tile_now),
        "1h": begun & (pl.col("tile_start") >= tile_now + TILE_S - HOUR_S),
        "24h": begun & (pl.col("tile_start") >= hour_now + HOUR_S - DAY_S),
        "session": begun & (pl.col(SESSION) == 0) & (pl.col(SESSION_END) > now_ms),
    }
    sums = (
        with_sessions(tiles, begun)
        .group_by("user_id", maintain_order=True)
        .agg(
            pl.col("last_event").filter(begun).max().alias(EVENT_TIME),
            version().alias(VERSION),
            next_change(inside, now_s).alias(NEXT_CHANGE),
            *(value for window in WINDOWS for value in aggregates(window, inside[window])),
        )
    )
    return in_dollars(sums).select(ROW)


def aggregates(window: str, inside: pl.Expr) -> list[pl.Expr]:
    """Of one window, count and sums; the amounts still in cents."""
    return [
        pl.col("transaction_count").filter(inside).sum().alias(f"transaction_count_{window}"),
        pl.col("total_cents").filter(inside).sum().alias(f"total_amount_{window}"),
        pl.col("max_cents").filter(inside).max().alias(f"max_amount_{window}"),
        pl.col("declined_count").filter(inside).sum().alias(f"declined_count_{window}"),
    ]


def in_dollars(sums: pl.DataFrame) -> pl.DataFrame:
    """Amounts in dollars, and averages; without an event there is no average and no maximum."""
    amounts = [f"{what}_amount_{window}" for window in WINDOWS for what in ("total", "max")]
    rows = sums.with_columns(divided(sums[name], 100) for name in amounts)
    return rows.with_columns(
        divided(rows[f"total_amount_{window}"], rows[f"transaction_count_{window}"]).alias(
            f"avg_amount_{window}"
        )
        for window in WINDOWS
    )


def divided(dividend: pl.Series, divisor: pl.Series | int) -> pl.Series:
    """The quotient; null where there is none.

    By numpy: polars multiplies by 1 / divisor, and then 69 cents are 0.6900000000000001 dollars.
    """
    with np.errstate(invalid="ignore"):
        quotient = dividend.cast(pl.Float64).to_numpy() / np.asarray(divisor)
    return pl.Series(dividend.name, quotient, nan_to_null=True)


def with_sessions(tiles: pl.DataFrame, begun: pl.Expr) -> pl.DataFrame:
    """With `session`, 0 for the tiles of a user's newest session, and when that session ends.

    Exact, though tiles hide the single events: the gap is longer than a tile.
    """
    last_before = pl.col("last_event").shift(1)
    opens = (pl.col("first_event") - last_before > GAP_MS).fill_null(value=False)
    number = (begun & opens).cum_sum()
    newest = pl.col("last_event").filter(begun).max()
    return tiles.with_columns(
        (number.max() - number).over("user_id").alias(SESSION),
        (newest + GAP_MS).over("user_id").alias(SESSION_END),
    )


def version() -> pl.Expr:
    """A number that never shrinks while a user's tiles are merged, whichever come first.

    The day of the newest tile, then the events of that day and the day before: older tiles may be
    forgotten. A double holds it exactly, as a script in Redis needs.
    """
    day = pl.col("tile_start").max() // DAY_S
    recent = pl.col("tile_start") >= (day - 1) * DAY_S
    return day * 2**32 + pl.col("transaction_count").filter(recent).sum()


def next_change(inside: dict[str, pl.Expr], now_s: int) -> pl.Expr:
    """When the first tile leaves a window, the session ends or a tile of the future begins."""
    start = pl.col("tile_start")
    changes_s = [
        start.filter(inside["5m"]).min() + TILE_S,
        start.filter(inside["1h"]).min() + HOUR_S,
        start.filter(inside["24h"]).min() // HOUR_S * HOUR_S + DAY_S,
        start.filter(start > now_s).min(),
    ]
    session_end = pl.col(SESSION_END).filter(inside["session"]).max()
    return pl.min_horizontal(*(moment * 1_000 for moment in changes_s), session_end)


def remembered(tiles: pl.DataFrame) -> pl.DataFrame:
    """What later values may need: the newest tile's day, the day before, the newest session."""
    start = pl.col("tile_start")
    recent = start >= ((start.max() // DAY_S - 1) * DAY_S).over("user_id")
    in_session = with_sessions(tiles, begun=pl.lit(value=True)).get_column(SESSION) == 0
    return tiles.filter(recent | in_session)
