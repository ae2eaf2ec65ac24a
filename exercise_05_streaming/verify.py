"""Recompute every feature from the log of transactions in DuckDB; compare with Redis.

python -m exercise_05_streaming.verify
"""

import json
from collections.abc import Callable
from typing import Any

import duckdb
import polars as pl
import redis

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.topics import AMOUNT, EVENT_TIME, TRANSACTIONS
from exercise_05_streaming.windows import FEATURES, TILE, TILE_S, features, sliding_24h
from exercise_05_streaming.writer import VIEW, TopicReader
from lab.learn import UserError, open_store, run_script, settings

Parse = Callable[[bytes], list[Any]]  # the events of a record
Read = Callable[[list[str]], pl.DataFrame]  # the stored features of users

# The definitions of `accept_events` and `compute_features` for all of the log at once. The table of
# the view in exercise 1 is another query: a row for each change of a value, for training.
EVENTS_OF_LOG = f"""
    SELECT *, CASE WHEN length(user_id) BETWEEN 1 AND 256 AND cents + ms IS NOT NULL
        THEN CASE WHEN ms < record_ms - 900_000 THEN 'too late'
            WHEN ms > record_ms + 60_000 THEN 'too far ahead' END
        ELSE 'malformed' END AS reason
    FROM (
        SELECT record_ms, event ->> '$.user_id' AS user_id,
            event ->> '$.transaction_id' AS transaction_id,
            (try_cast(regexp_extract(event ->> '$.amount', '{AMOUNT}') AS DECIMAL(12, 2)) * 100)
                ::BIGINT AS cents,
            (event ->> '$.is_approved') = 'false' AS declined,
            epoch_ms(try_cast(
                regexp_extract(event ->> '$.event_time', '{EVENT_TIME}', 1) AS TIMESTAMP
            )) AS ms
        FROM (SELECT record_ms, try_cast(value AS JSON) AS event FROM log)
    )
"""
TILES_OF_EVENTS = f"""
    SELECT user_id, ms // {TILE_S * 1_000} * {TILE_S} AS tile_start, count(*) AS transaction_count,
        sum(cents)::BIGINT AS total_cents, max(cents) AS max_cents,
        count(*) FILTER (declined) AS declined_count, min(ms) AS first_event, max(ms) AS last_event
    FROM events WHERE reason IS NULL GROUP BY ALL ORDER BY ALL
"""
REFUSED_EVENTS = """
    SELECT concat(count(*), ' ', reason, CASE WHEN reason <> 'malformed'
        THEN ' by ' || (median(abs(ms - record_ms)) / 60_000)::INT || ' min' END)
    FROM events WHERE reason IS NOT NULL GROUP BY reason ORDER BY ALL
"""
# As Flink reads JSON: of two fields with one name the first counts, and `int` refuses NaN.
FIRST = json.JSONDecoder(
    strict=False,
    parse_float=str,
    parse_constant=int,
    object_pairs_hook=lambda pairs: dict(reversed(pairs)),
)


def events_of(record: bytes) -> list[Any]:
    """Return what Flink reads from a record: an object, those of an array, or None."""
    try:
        found, _ = FIRST.raw_decode(record.decode(json.detect_encoding(record)).lstrip())
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, list) else [found]


def read_log(parse: Parse = events_of) -> pl.DataFrame:
    """Return every event of the log as JSON, and the time of its record."""
    rows = [
        (json.dumps(event), record.timestamp()[1])
        for record in TopicReader(TRANSACTIONS).to_the_end()
        for event in parse(record.value() or b"")
    ]
    return pl.DataFrame(rows, schema={"value": str, "record_ms": int}, orient="row")


def query(sql: str, **tables: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a query over tables."""
    with duckdb.connect() as db:
        for name, table in tables.items():
            db.register(name, table.to_arrow())
        return pl.DataFrame(db.execute(sql).pl())


def classify(log: pl.DataFrame) -> pl.DataFrame:
    """Return the events of a log, in order; `reason` is null for those that count."""
    return query(EVENTS_OF_LOG, log=log)


def recompute_tiles(log: pl.DataFrame) -> pl.DataFrame:
    """Return every tile of a log."""
    return query(TILES_OF_EVENTS, events=classify(log)).cast(TILE)


def refused_events() -> str:
    """Return how many events of the log do not count, and why."""
    log = read_log()
    reasons = query(REFUSED_EVENTS, events=classify(log)).to_series()
    return f"Refused of {len(log):,} events: {', '.join(reasons) or 'none'}"


def stored_features(users: list[str]) -> pl.DataFrame:
    """Read the features of users by Feast: a row for each."""
    names = [f"{VIEW}:{feature}" for feature in FEATURES]
    rows = [{"user_id": user} for user in users]
    found = open_store().get_online_features(names, rows).to_dict()
    return pl.DataFrame(found).select("user_id", *FEATURES)


def differences(
    recompute: Callable[[pl.DataFrame], pl.DataFrame] = recompute_tiles,
    read: Read = stored_features,
    parse: Parse = events_of,
) -> list[str]:
    """Return the users whose stored features differ from the log, with both rows."""
    now_ms = int(redis.Redis(settings.host, settings.redis_port).get(PROGRESS_KEY) or 0)
    if not now_ms:
        return ["Redis holds no progress time: the job has not read the log yet"]
    tiles = recompute(read_log(parse)).filter(sliding_24h(now_ms // 1_000))
    expected = features(tiles, now_ms).select("user_id", *FEATURES)
    found = read(expected["user_id"].to_list()).cast(expected.schema)  # nulls alone have no type
    pairs = zip(expected.iter_rows(), found.iter_rows(), strict=True)
    return [f"log    {log}\nstored {stored}" for log, stored in pairs if log != stored]


def report(lines: list[str]) -> None:
    """Print what was refused and up to ten differences. Raises UserError when there is one."""
    print(refused_events())
    if lines:
        print(*lines[:10], sep="\n")
        raise UserError(f"the features of {len(lines)} users differ from the log")
    print("Every feature equals a recomputation of the log")


if __name__ == "__main__":
    run_script(lambda: report(differences()))
