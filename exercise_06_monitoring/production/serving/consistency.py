"""Whether Redis holds what the offline store says: a sample at each run, another at the next."""

from datetime import datetime

import redis
from feast import FeatureStore

from exercise_06_monitoring.production.check import Check, duration, not_measured
from lab.feature_store import MATERIALIZED_VIEWS, feast_says_nothing
from lab.feature_values import differing, offline_values, online_values
from lab.materialized import Progress
from lab.settings import settings


def check_consistency(
    store: FeatureStore, client: redis.Redis, as_of: datetime
) -> dict[str, list[Check]]:
    """For each materialized view the share of sampled entities that differ, and Redis's age."""
    progress = Progress(store, client)
    return {view: _check_view(store, progress, view, as_of) for view in MATERIALIZED_VIEWS}


def _check_view(store: FeatureStore, progress: Progress, view: str, as_of: datetime) -> list[Check]:
    until = progress.until(view)
    if until is None:
        return [not_measured("online_offline", f"{view} was not materialized to this Redis")]
    with feast_says_nothing():
        offline = offline_values(store, view, until, settings.consistency_sample)
        online = online_values(store, view, offline.index)
    differs = differing(offline, online)
    wrong, age = int(differs.sum()), as_of - until
    return [
        Check(
            "",
            "online_offline",
            wrong / max(len(differs), 1),
            not wrong,
            f"{wrong} of {len(differs)} sampled entities differ from the offline store",
        ),
        Check(
            "",
            "materialized",
            age.total_seconds(),
            age <= settings.materialized_within,
            f"Redis is as of {until:%d %B %H:%M}, {duration(age.total_seconds())} before now",
        ),
    ]
