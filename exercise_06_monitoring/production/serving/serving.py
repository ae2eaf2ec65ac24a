"""The serving side: Redis against the offline store, the streaming features, the API."""

from collections.abc import Mapping
from datetime import datetime

from feast import FeatureStore

from exercise_06_monitoring.production.check import Check, not_measured
from exercise_06_monitoring.production.serving.consistency import check_consistency
from exercise_06_monitoring.production.serving.metrics import (
    Counts,
    ServiceUnreachableError,
    Serving,
    scrape,
    since,
)
from exercise_06_monitoring.production.serving.streaming import VIEW, check_streaming
from lab.errors import UserError
from lab.feature_store import connect_redis


def check_online_store(store: FeatureStore, as_of: datetime) -> dict[str, list[Check]]:
    """By view; one failed check when Redis does not answer."""
    try:
        client = connect_redis()
    except UserError as error:
        return {"redis": [Check("", "answers", 0, False, error.problem)]}
    checks = check_consistency(store, client, as_of)
    return checks | {VIEW: [check_streaming(store, client, as_of)]}


def check_api(before: Mapping[str, float] | None) -> tuple[list[Check], Counts]:
    """What the API did since the last look, and its counts for the next one.

    Without `before` nobody has met it lately: that it does not answer is then no alarm.
    """
    try:
        counts = scrape()
    except ServiceUnreachableError as error:
        if before is None:
            return [not_measured("answers", f"{error}")], {}
        return [Check("", "answers", 0, False, f"it does not answer: {error}")], {}
    answers = Check("", "answers", 1, True, "it answers")
    return [answers, *Serving.of(since(before or {}, counts)).checks()], counts
