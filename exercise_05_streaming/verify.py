"""Recompute the log of transactions in DuckDB; compare every tile, and every value in Redis.

python -m exercise_05_streaming.verify
"""

from collections.abc import Callable
from contextlib import suppress

import duckdb
import polars as pl

from exercise_05_streaming.topics import TILES, TRANSACTIONS
from exercise_05_streaming.windows import FEATURES, TILE, features
from exercise_05_streaming.writer import VIEW, TileStore, TopicReader, clock_ms, parse_tile
from lab.learn import UserError, open_store, run_script

# The definitions of `accept_events` and `compute_features` for all of the log at once. The table of
# the view in exercise 1 is another query: a row for each change of a value, for training.
ACCEPTED = """
    SELECT user_id, cents, declined, ms FROM (
        SELECT record_ms, event ->> '$.user_id' AS user_id,
            (try_cast(event ->> '$.amount' AS DECIMAL(18, 2)) * 100)::BIGINT AS cents,
            (event ->> '$.is_approved') = 'false' AS declined,
            epoch_ms(try_cast(event ->> '$.event_time' AS TIMESTAMPTZ)) AS ms
        FROM (SELECT record_ms, try_cast(value AS JSON) AS event FROM log)
    )
    WHERE user_id <> '' AND cents >= 0 AND ms BETWEEN record_ms - 900_000 AND record_ms + 60_000
"""
TILES_OF_LOG = """
    SELECT user_id, ms // 300_000 * 300 AS tile_start, count(*) AS transaction_count,
        sum(cents)::BIGINT AS total_cents, max(cents) AS max_cents,
        count(*) FILTER (declined) AS declined_count, min(ms) AS first_event, max(ms) AS last_event
    FROM ({accepted}) GROUP BY ALL ORDER BY ALL
"""


def read_log() -> pl.DataFrame:
    """Return every record of the log: its value, its time, and its partition and offset."""
    rows = [
        ((r.value() or b"").decode(errors="replace"), r.timestamp()[1], r.partition(), r.offset())
        for r in TopicReader(TRANSACTIONS).to_the_end()
    ]
    columns = {"value": str, "record_ms": int, "partition": int, "offset": int}
    return pl.DataFrame(rows, schema=columns, orient="row")


def recompute_tiles(log: pl.DataFrame, accepted: str = ACCEPTED) -> pl.DataFrame:
    """Return every tile of a log, of the events that the query `accepted` selects."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.register("log", log.to_arrow())
        tiles = db.execute(TILES_OF_LOG.format(accepted=accepted)).pl()
    return pl.DataFrame(tiles).cast(TILE)


def stored_tiles() -> pl.DataFrame:
    """Return the newest version of each tile in the topic."""
    store = TileStore()
    for record in TopicReader(TILES).to_the_end():
        with suppress(ValueError):  # not a tile: the writer reports it
            store.update(*parse_tile(record.value() or b""))
    return store.frame(sorted(store.users()))


def stored_features(users: list[str]) -> pl.DataFrame:
    """Read the features of users by Feast: a row for each."""
    names = [f"{VIEW}:{feature}" for feature in FEATURES]
    rows = [{"user_id": user} for user in users]
    found = open_store().get_online_features(names, rows).to_dict()
    return pl.DataFrame(found).select("user_id", *FEATURES)


def differences(
    recompute: Callable[[pl.DataFrame], pl.DataFrame] = recompute_tiles,
    read: Callable[[list[str]], pl.DataFrame] = stored_features,
) -> list[str]:
    """Return the tiles and the rows of features that are only in the log, or not in the log."""
    tiles = recompute(read_log())
    expected = features(tiles, clock_ms()).select("user_id", *FEATURES)
    pairs = (tiles, stored_tiles()), (expected, read(expected["user_id"].to_list()))
    lines = []
    for log, found in pairs:
        found = found.cast(log.schema)  # a column of nulls has no type
        for sign, left, right in ("+", found, log), ("-", log, found):
            rows = left.join(right, left.columns, "anti", nulls_equal=True)
            lines += [f"{sign} {row}" for row in rows.iter_rows()]
    return lines


def report(lines: list[str]) -> None:
    """Print up to ten differences. Raises UserError when there is one."""
    print("\n".join(lines[:10]))
    if lines:
        raise UserError(f"{len(lines)} rows differ from the log")
    print("Every tile and every feature equals a recomputation of the log")


if __name__ == "__main__":
    run_script(lambda: report(differences()))
