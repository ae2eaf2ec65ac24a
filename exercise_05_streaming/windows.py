"""Features of a user at time t, merged from five-minute tiles.

Also written in `define_windows` (Flink) and in the checker; verify.py recomputes the tiles.
"""

import numpy as np
import polars as pl

from lab.learn import settings

TILE_S, HOUR_S, DAY_S = settings.tile_s, 3_600, 86_400
GAP_MS = 30 * 60 * 1_000
LOOK_BACK_MS = (25 * 60 + 15) * 60_000  # the longest window, and a margin
COUNTS = ("tile_start", "transaction_count", "total_cents", "max_cents", "declined_count")
# Since 1970: `tile_start` in seconds, `first_event` and `last_event` in milliseconds.
INTEGERS = (*COUNTS, "first_event", "last_event")
TILE = pl.Schema({"user_id": pl.String(), **dict.fromkeys(INTEGERS, pl.Int64())})

WINDOWS = ("5m", "1h", "24h", "session")
METRICS = ("transaction_count", "total_amount", "avg_amount", "max_amount", "declined_count")
FEATURES = tuple(f"{metric}_{window}" for window in WINDOWS for metric in METRICS)


def tumbling_5m(now_s: int) -> pl.Expr:
    """Select the tile of the running five minutes."""
    return pl.col("tile_start") >= now_s // TILE_S * TILE_S


def sliding_1h(now_s: int) -> pl.Expr:
    """Select the last 12 tiles, the running one included."""
    return pl.col("tile_start") >= now_s // TILE_S * TILE_S + TILE_S - HOUR_S


def sliding_24h(now_s: int) -> pl.Expr:
    """Select the tiles of the running hour and the 23 before."""
    return pl.col("tile_start") >= now_s // HOUR_S * HOUR_S + HOUR_S - DAY_S


def session(now_ms: int) -> pl.Expr:
    """Select the tiles of the running session, which ends 30 minutes after its last event.

    Exact, because the gap is longer than a tile. A session has at most the events of 24 hours.
    """
    pause = pl.col("first_event") - pl.col("last_event").shift(1)
    number = (pause > GAP_MS).fill_null(value=False).cum_sum()
    is_running = pl.col("last_event").max() + GAP_MS > now_ms
    return ((number == number.max()) & is_running).over("user_id") & sliding_24h(now_ms // 1_000)


def features(tiles: pl.DataFrame, now_ms: int) -> pl.DataFrame:
    """Return a row per user with every feature at `now_ms`, and `next_change`.

    `tiles` has one row per user and tile, in this order; users without a tile that has begun get
    no row. `next_change` is the time in milliseconds when a value changes though no event arrives;
    null for never.
    """
    now_s = now_ms // 1_000
    selected = (tumbling_5m(now_s), sliding_1h(now_s), sliding_24h(now_s), session(now_ms))
    begun = tiles.filter(pl.col("tile_start") <= now_s)
    marked = begun.with_columns(**dict(zip(WINDOWS, selected, strict=True)))
    sums = marked.group_by("user_id", maintain_order=True).agg(
        _next_change(), *(value for name in WINDOWS for value in _aggregates(name))
    )
    return _in_dollars(sums).select("user_id", "next_change", *FEATURES)


def _aggregates(window: str) -> list[pl.Expr]:
    """Merge the tiles of one window; amounts in cents."""
    count, total, highest, declined = (pl.col(name).filter(pl.col(window)) for name in COUNTS[1:])
    return [
        count.sum().alias(f"transaction_count_{window}"),
        total.sum().alias(f"total_amount_{window}"),
        highest.max().alias(f"max_amount_{window}"),
        declined.sum().alias(f"declined_count_{window}"),
    ]


def _in_dollars(sums: pl.DataFrame) -> pl.DataFrame:
    """Divide by numpy: polars multiplies by 1 / 100, and 69 cents become 0.6900000000000001."""
    values = {name: sums[name].cast(pl.Float64).to_numpy() for name in sums.columns[1:]}
    amounts = {name: cents / 100 for name, cents in values.items() if "amount" in name}
    with np.errstate(invalid="ignore"):  # no event has no mean: NaN here, null in the row
        for window in WINDOWS:
            count = values[f"transaction_count_{window}"]
            amounts[f"avg_amount_{window}"] = amounts[f"total_amount_{window}"] / count
    return sums.with_columns(pl.Series(name, v, nan_to_null=True) for name, v in amounts.items())


def _next_change() -> pl.Expr:
    """The time when the first tile leaves a window, or when the session ends."""
    oldest = {window: pl.col("tile_start").filter(pl.col(window)).min() for window in WINDOWS}
    leaves_24h = oldest["24h"] // HOUR_S * HOUR_S + DAY_S
    leaves_s = pl.min_horizontal(oldest["5m"] + TILE_S, oldest["1h"] + HOUR_S, leaves_24h)
    session_end = pl.col("last_event").filter(pl.col("session")).max() + GAP_MS
    return pl.min_horizontal(leaves_s * 1_000, session_end).alias("next_change")
