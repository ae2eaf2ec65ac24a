"""The solution's comparison with a recomputation, for a log with copies of transactions.

python -m exercise_05_streaming.production.verify
"""

import polars as pl
import redis

from exercise_05_streaming import verify
from exercise_05_streaming.windows import FEATURES
from exercise_05_streaming.writer import VIEW
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.errors import run_script
from lab.feature_store import effective_config
from lab.settings import settings


def recompute_tiles(log: pl.DataFrame) -> pl.DataFrame:
    """Return every tile of a log, in which the first record of each transaction_id counts."""
    transaction_id = pl.col("value").str.extract(r'"transaction_id": *"([^"]*)"')
    return verify.recompute_tiles(
        log.filter(transaction_id.is_null() | transaction_id.is_first_distinct())
    )


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
