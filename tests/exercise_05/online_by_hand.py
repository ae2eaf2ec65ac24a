"""The streaming view's content in Redis, decoded field by field."""

from typing import Any

import redis

from exercise_05_streaming.windows import FEATURES
from exercise_05_streaming.writer import VIEW
from feast_plugins.redis_encoding import (
    decode_time,
    decode_value,
    entity_key,
    feature_field,
    time_field,
)
from lab.feature_store import effective_config

Row = dict[str, Any]
FIELDS = [feature_field(VIEW, feature) for feature in FEATURES]


def key_of(user: str) -> bytes:
    return entity_key(effective_config()["project"], "user_id", user)


def stored(client: redis.Redis, users: list[str]) -> dict[str, Row]:
    """Return the features of those users who have any."""
    pipe = client.pipeline(transaction=False)
    for user in users:
        pipe.hmget(key_of(user), [time_field(VIEW), *FIELDS])
    return {
        user: {name: decode_value(value) for name, value in zip(FEATURES, values, strict=True)}
        for user, (time, *values) in zip(users, pipe.execute(), strict=True)
        if time is not None
    }


def event_time(client: redis.Redis, user: str) -> int:
    """Return the event time in milliseconds."""
    time = decode_time(client.hget(key_of(user), time_field(VIEW)))
    assert time is not None
    return round(time.timestamp() * 1_000)
