"""How old the newest streaming feature in Redis is."""

from datetime import datetime, timedelta

import polars as pl
import redis
from feast import FeatureStore

from exercise_06_monitoring.production.check import Check, duration, not_measured
from exercise_06_monitoring.production.quality.expectations import expectations
from feast_plugins.redis_encoding import decode_time, entity_key, time_field
from lab.settings import settings

VIEW = "user_streaming_features"


def check_streaming(store: FeatureStore, client: redis.Redis, as_of: datetime) -> Check:
    """The newest event time among the users who paid last."""
    field = time_field(VIEW)
    pipe = client.pipeline(transaction=False)
    for user in _who_paid_last():
        pipe.hget(entity_key(store.project, "user_id", user), field)
    times = [time for time in map(decode_time, pipe.execute()) if time]
    if not times:
        return not_measured("streaming_freshness", "no streaming job has written to this Redis")
    age = max(as_of - max(times), timedelta(0))
    limit = timedelta(minutes=expectations()[VIEW].fresh_within_minutes)
    message = f"the newest event in Redis is {duration(age.total_seconds())} old"
    return Check("", "streaming_freshness", age.total_seconds(), age <= limit, message)


def _who_paid_last() -> list[str]:
    payments = pl.scan_parquet(settings.data_dir / "transactions.parquet")
    newest = payments.group_by("user_id").agg(pl.col("event_timestamp").max())
    users: list[str] = (
        newest.top_k(settings.consistency_sample, by="event_timestamp")
        .collect()["user_id"]
        .to_list()
    )
    return users
