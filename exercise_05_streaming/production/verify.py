"""The solution's comparison with a recomputation, for production's definition of `accepted`.

python -m exercise_05_streaming.production.verify
"""

import json
from datetime import timedelta

import polars as pl
import redis

from exercise_05_streaming import verify
from exercise_05_streaming.windows import FEATURES
from exercise_05_streaming.writer import VIEW
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.errors import run_script
from lab.feature_store import effective_config
from lab.settings import settings

MILLISECOND = timedelta(milliseconds=1)

# Strict JSON, exact amounts, times in UTC, and one row per transaction_id.
ACCEPTED = f"""
    SELECT user_id, (dollars * 100)::BIGINT AS cents, coalesce(declined, false) AS declined, ms
    FROM (
        SELECT *, event ->> '$.user_id' AS user_id, event ->> '$.amount' AS amount,
            event ->> '$.transaction_id' AS transaction_id,
            event ->> '$.event_time' AS event_time,
            (event ->> '$.is_approved') = 'false' AS declined,
            try_cast(amount AS DECIMAL(18, 2)) AS dollars,
            epoch_ms(try_cast(event_time AS TIMESTAMPTZ)) AS ms
        FROM (SELECT *, value::JSON AS event FROM log)
    )
    WHERE user_id <> '' AND dollars IS NOT NULL
        AND regexp_full_match(amount, '[0-9]+([.][0-9]*)?([eE][+-]?[0-9]{{1,3}})?')
        AND regexp_full_match(event_time, '[0-9-]{{10}}[T ][0-9:]{{8}}([.][0-9]+)?(Z|[+]00:00)?')
        AND ms BETWEEN record_ms - {settings.allowed_lateness // MILLISECOND}
            AND record_ms + {settings.allowed_ahead // MILLISECOND}
    WINDOW one_transaction AS (
        PARTITION BY transaction_id ORDER BY record_ms, partition, "offset"
    )
    QUALIFY transaction_id IS NULL
        OR row_number() OVER one_transaction = 1
"""


def recompute_tiles(log: pl.DataFrame) -> pl.DataFrame:
    """Return every tile of a log."""
    strict = pl.col("value").map_elements(scalar_fields, return_dtype=pl.String)
    return verify.recompute_tiles(log.with_columns(strict), ACCEPTED)


def scalar_fields(message: str) -> str:
    """Return an object's own fields as JSON, numbers as they are written; {} if it is no object.

    Python's parser is strict. DuckDB's accepts NaN, 01 and `[1,]`, and the first of two fields of
    one name.
    """
    try:
        parsed = json.loads(message, parse_int=str, parse_float=str, parse_constant=refuse)
    except (ValueError, RecursionError):
        return "{}"
    fields = parsed.items() if isinstance(parsed, dict) else ()
    return json.dumps({name: value for name, value in fields if not isinstance(value, dict | list)})


def refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError(constant)


def stored_features(users: list[str]) -> pl.DataFrame:
    """Read the features of users from Redis, which needs no registry: a row for each user."""
    project = effective_config()["project"]
    fields = [feature_field(VIEW, feature) for feature in FEATURES]
    pipe = redis.Redis(settings.host, settings.redis_port).pipeline(transaction=False)
    for user in users:
        pipe.hmget(entity_key(project, "user_id", user), fields)
    rows = [[decode_value(value) for value in values] for values in pipe.execute()]
    schema = {"user_id": pl.String, **dict.fromkeys(FEATURES, pl.Float64)}
    named = [[user, *values] for user, values in zip(users, rows, strict=True)]
    return pl.DataFrame(named, schema=schema, orient="row")


if __name__ == "__main__":
    run_script(lambda: verify.report(verify.differences(recompute_tiles, stored_features)))
