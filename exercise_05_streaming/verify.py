"""Recompute every feature from the log of transactions in DuckDB; compare with Redis.

python -m exercise_05_streaming.verify
"""

from collections.abc import Callable

import duckdb
import polars as pl
import redis

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.topics import TRANSACTIONS
from exercise_05_streaming.windows import FEATURES, TILE, features, sliding_24h
from exercise_05_streaming.writer import VIEW, TopicReader
from lab.learn import UserError, open_store, run_script, settings

# The definitions of `accept_events` and `compute_features` for all of the log at once. The table of
# the view in exercise 1 is another query: a row for each change of a value, for training.
TILES_OF_LOG = """
    SELECT user_id, ms // 300_000 * 300 AS tile_start, count(*) AS transaction_count,
        sum(cents)::BIGINT AS total_cents, max(cents) AS max_cents,
        count(*) FILTER (declined) AS declined_count, min(ms) AS first_event, max(ms) AS last_event
    FROM (
        SELECT record_ms, event ->> '$.user_id' AS user_id,
            (try_cast(event ->> '$.amount' AS DECIMAL(18, 2)) * 100)::BIGINT AS cents,
            (event ->> '$.is_approved') = 'false' AS declined,
            epoch_ms(try_cast(event ->> '$.event_time' AS TIMESTAMPTZ)) AS ms
        FROM (SELECT record_ms, try_cast(value AS JSON) AS event FROM log)
    )
    WHERE user_id <> '' AND cents >= 0 AND ms BETWEEN record_ms - 900_000 AND record_ms + 60_000
    GROUP BY ALL ORDER BY ALL
"""


def read_log() -> pl.DataFrame:
    """Return every record of the log: its value and its time."""
    rows = [
        ((record.value() or b"").decode(errors="replace"), record.timestamp()[1])
        for record in TopicReader(TRANSACTIONS).to_the_end()
    ]
    return pl.DataFrame(rows, schema={"value": str, "record_ms": int}, orient="row")


def recompute_tiles(log: pl.DataFrame) -> pl.DataFrame:
    """Return every tile of a log."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.register("log", log.to_arrow())
        return pl.DataFrame(db.execute(TILES_OF_LOG).pl()).cast(TILE)


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
    """Return the users whose stored features differ from the log, with both rows."""
    now_ms = int(redis.Redis(settings.host, settings.redis_port).get(PROGRESS_KEY) or 0)
    if not now_ms:
        return ["Redis holds no progress time: the job has not read the log yet"]
    tiles = recompute(read_log()).filter(sliding_24h(now_ms // 1_000))
    expected = features(tiles, now_ms).select("user_id", *FEATURES)
    found = read(expected["user_id"].to_list()).cast(expected.schema)  # nulls alone have no type
    pairs = zip(expected.iter_rows(), found.iter_rows(), strict=True)
    return [f"log    {log}\nstored {stored}" for log, stored in pairs if log != stored]


def report(lines: list[str]) -> None:
    """Print up to ten differences. Raises UserError when there is one."""
    if lines:
        print(*lines[:10], sep="\n")
        raise UserError(f"the features of {len(lines)} users differ from the log")
    print("Every feature equals a recomputation of the log")


if __name__ == "__main__":
    run_script(lambda: report(differences()))
