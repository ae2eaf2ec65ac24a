"""Recompute every feature from the log of transactions in DuckDB; compare with Redis.

python -m exercise_05_streaming.verify
"""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import polars as pl
import redis

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming import topics
from exercise_05_streaming.windows import FEATURES, TILE, TILE_S, features, sliding_24h
from exercise_05_streaming.writer import VIEW
from lab.learn import UserError, open_store, run_script, settings

# The definitions of `accept_events` and `compute_features` for all of the log at once. The table of
# the view in exercise 1 is another query: a row for each change of a value, for training. Of texts
# that are no JSON by its standard, as an object with more text behind it, Flink accepts others.
ACCEPTED = f"""
    SELECT *, (dollars * 100)::BIGINT AS cents
    FROM (
        SELECT record_ms, event ->> '$.user_id' AS user_id,
            event ->> '$.transaction_id' AS transaction_id,
            (event ->> '$.is_approved') = 'false' AS declined,
            dollars(regexp_extract(event ->> '$.amount', '{topics.AMOUNT}')) AS dollars,
            epoch_ms(try_cast(
                regexp_extract(event ->> '$.event_time', '{topics.EVENT_TIME}', 1) AS TIMESTAMP
            )) AS ms
        FROM (
            SELECT record_ms, unnest(if(json_type(json) = 'ARRAY', json -> '$[*]', [json])) AS event
            FROM (SELECT record_ms, try_cast(try(decode(value)) AS JSON) AS json FROM rows)
        )
    )
    WHERE length(user_id) BETWEEN 1 AND 256 AND dollars IS NOT NULL
        AND ms BETWEEN record_ms - 900_000 AND record_ms + 60_000
"""
TILES = f"""
    SELECT user_id, ms // {TILE_S * 1_000} * {TILE_S} AS tile_start, count(*) AS transaction_count,
        sum(cents)::BIGINT AS total_cents, max(cents) AS max_cents,
        count(*) FILTER (declined) AS declined_count, min(ms) AS first_event, max(ms) AS last_event
    FROM rows GROUP BY ALL ORDER BY ALL
"""


def read_log(topic: str = topics.TRANSACTIONS) -> pl.DataFrame:
    """Return the value and the time of every record of a topic. Raises KafkaException."""
    rows = [
        (record.value(), record.timestamp()[1]) for record in topics.TopicReader(topic).to_the_end()
    ]
    return pl.DataFrame(rows, schema={"value": bytes, "record_ms": int}, orient="row")


def dollars(amount: str) -> Decimal:
    """Return an amount rounded to cents; DuckDB's own cast makes 0.01 of 998e-13.

    Raises ValueError or InvalidOperation for none.
    """
    rounded = Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)
    if rounded >= 10**10:
        raise ValueError(amount)
    return rounded


def query(sql: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the result of a query over the table `rows`."""
    with duckdb.connect() as db:
        refused: Any = {"exception_handling": "return_null"}
        db.create_function("dollars", dollars, ["varchar"], duckdb.decimal_type(12, 2), **refused)
        db.register("rows", rows.to_arrow())
        return pl.DataFrame(db.execute(sql).pl())


def accepted_events(log: pl.DataFrame) -> pl.DataFrame:
    """Return the events of a log that count, in order."""
    return query(ACCEPTED, log)


def recompute_tiles(accepted: pl.DataFrame) -> pl.DataFrame:
    """Return the tiles of accepted events."""
    return query(TILES, accepted).cast(TILE)


def stored_features(users: list[str]) -> pl.DataFrame:
    """Read the features of users by Feast: a row for each."""
    names = [f"{VIEW}:{feature}" for feature in FEATURES]
    rows = [{"user_id": user} for user in users]
    found = open_store().get_online_features(names, rows).to_dict()
    return pl.DataFrame(found).select("user_id", *FEATURES)


def differences(
    accepted: Callable[[], pl.DataFrame] = lambda: accepted_events(read_log()),
    read: Callable[[list[str]], pl.DataFrame] = stored_features,
) -> list[str]:
    """Return the users whose stored features differ from the log, with both rows."""
    now_ms = int(redis.Redis(settings.host, settings.redis_port).get(PROGRESS_KEY) or 0)
    if not now_ms:
        return ["Redis holds no progress time: the job has not read the log yet"]
    tiles = recompute_tiles(accepted()).filter(sliding_24h(now_ms // 1_000))
    expected = features(tiles, now_ms).select("user_id", *FEATURES)
    found = read(expected["user_id"].to_list()).cast(expected.schema)  # nulls alone have no type
    pairs = zip(expected.iter_rows(), found.iter_rows(), strict=True)
    return [f"log    {log}\nstored {stored}" for log, stored in pairs if log != stored]


@topics.available_services()
def report(compare: Callable[[], list[str]] = differences) -> None:
    """Print up to ten differences. Raises UserError when there is one."""
    if lines := compare():
        print(*lines[:10], sep="\n")
        raise UserError(f"{len(lines)} differences from the log")
    print("Everything equals a recomputation of the log")


if __name__ == "__main__":
    run_script(report)
