"""The solution's comparison with a recomputation, for a log with copies of transactions.

python -m exercise_05_streaming.production.verify
"""

import json
from typing import Any

import polars as pl
import redis

from exercise_05_streaming import verify
from exercise_05_streaming.windows import FEATURES
from exercise_05_streaming.writer import VIEW
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.errors import run_script
from lab.feature_store import effective_config
from lab.settings import settings


def events_of(record: bytes) -> list[Any]:
    """Return the scalar fields of a record that is one object, or None."""
    try:
        found = json.loads(record, parse_float=str, parse_constant=int)  # int refuses NaN
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return [None]
    return [{name: v for name, v in found.items() if not isinstance(v, dict | list)}]


def recompute_tiles(log: pl.DataFrame) -> pl.DataFrame:
    """Return every tile of a log, in which the first event of a user with an id counts."""
    has_no_id = pl.col("transaction_id").fill_null("").str.strip_chars() == ""
    is_first = pl.struct("user_id", "transaction_id").is_first_distinct()
    events = verify.classify(log).with_row_index().filter(pl.col("reason").is_null())
    return verify.recompute_tiles(log[events.filter(has_no_id | is_first)["index"]])


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


def differences(read: verify.Read = stored_features) -> list[str]:
    """Return the users whose stored features differ from the log, with both rows."""
    return verify.differences(recompute_tiles, read, events_of)


if __name__ == "__main__":
    run_script(lambda: verify.report(differences()))
