"""The streaming view's rows in Redis."""

from typing import Any

import redis

from exercise_05_streaming.production.verify import stored_features
from exercise_05_streaming.writer import VIEW
from feast_plugins.redis_encoding import decode_time, entity_key, time_field
from lab.feature_store import effective_config

Row = dict[str, Any]


def key_of(user: str) -> bytes:
    return entity_key(effective_config()["project"], "user_id", user)


def stored(users: list[str]) -> dict[str, Row]:
    """Return the features of those users who have any."""
    rows = {row.pop("user_id"): row for row in stored_features(users).rows(named=True)}
    return {user: row for user, row in rows.items() if row["transaction_count_5m"] is not None}


def event_time(client: redis.Redis, user: str) -> int:
    """Return the event time in milliseconds."""
    time = decode_time(client.hget(key_of(user), time_field(VIEW)))
    assert time is not None
    return round(time.timestamp() * 1_000)
