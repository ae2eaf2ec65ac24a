"""The checks' client of a serving API, and the comparison of its answers."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from checker.sandbox.redis import SandboxRedis
from checker.serving.feature_reads import StoredFeatures
from checker.serving.http_probe import Answer, Body, ask
from checker.serving.payments import (
    PAIR,
    PROBABILITY,
    VERDICT,
    VIEWS,
    bodies,
    bodies_of,
    expected_features,
)
from checker.serving.redis_monitor import monitored
from checker.serving.scoring import expected_probabilities, right_scores
from checker.serving.server import Server, says_healthy
from checker.submission.submission import Submission
from checker.verdict.equality import differences, equal_rows
from checker.verdict.outcome import CounterExample, SubmissionError

PREDICT, BATCH, HEALTH, STATS = "/predict", "/predict/batch", "/health", "/stats"
MOST_UNANSWERED = 3  # missing answers after which no more requests are sent
POLL_S = 0.1
STEADY_S, STEADY_REQUESTS, MOST_RELAPSES = 1.0, 3, 3  # workers may notice one after the other
STATS_TOLERANCE = 0.05
A_DAY_S, MOST_KEYS = 86_400, 10_000


def nothing() -> None:
    """Do nothing: the default before a request."""


def post_in_turn(
    server: Server, requests: Sequence[Body], before: Callable[[], None] = nothing
) -> list[Any]:
    """Return the answer of /predict to each request in turn; `before` is called before each.

    Null without an answer; after a few of those no more requests are sent.
    """
    answers: list[Answer] = []
    for request in requests:
        before()
        answers.append(server.post(PREDICT, request))
        if sum(not answer.status for answer in answers) == MOST_UNANSWERED:
            break
    found = bodies_of(answers)
    return found + [None] * (len(requests) - len(found))


def right_rows(submission: Submission, sent: pd.DataFrame, got: pd.DataFrame) -> pd.Series:
    """Return whether each answer is about its own pair and has the right features."""
    return equal_rows(sent, got, [*PAIR, *expected_features(submission.hidden)])


def wrong_values(
    submission: Submission, sent: pd.DataFrame, got: pd.DataFrame
) -> list[CounterExample]:
    """Up to three features that are wrong, and then probabilities where the model is known."""
    columns = [*PAIR, *expected_features(submission.hidden)]
    expected = expected_probabilities(submission, sent)
    if expected is not None:
        is_right = right_scores(submission, sent, got)
        sent = sent.assign(**{PROBABILITY: got[PROBABILITY].where(is_right, expected)})
        columns.append(PROBABILITY)
    return differences(sent, got, columns, of=sent[[*PAIR, "transaction_amount"]])


def right_answers(submission: Submission, sent: pd.DataFrame, got: pd.DataFrame) -> pd.Series:
    """Return, by row, if an answer has the right features and the model's probability."""
    return right_rows(submission, sent, got) & right_scores(submission, sent, got)


def is_prediction(found: Any) -> bool:
    """Return whether it has a verdict, and a probability between 0 and 1."""
    if not isinstance(found, dict) or not isinstance(found.get(VERDICT), bool):
        return False
    probability = found.get(PROBABILITY)
    return isinstance(probability, int | float) and 0 <= probability <= 1


@dataclass(frozen=True)
class HitRate:
    """The share of requests that were answered without reading stored features.

    By request and by entity, as Redis saw it; and as /stats counts it, in its own one of the two.
    """

    by_request: float
    by_entity: float
    claimed: float

    @property
    def is_reported(self) -> bool:
        """Return whether /stats reports the one or the other."""
        off = min(abs(self.claimed - rate) for rate in (self.by_request, self.by_entity))
        return off <= STATS_TOLERANCE


def watched(
    submission: Submission, server: Server, sent: pd.DataFrame
) -> tuple[list[Any], HitRate]:
    """Return the predictions for payments, requested in turn, and the hit rate meanwhile."""
    stored, redis = StoredFeatures.of(submission), submission.sandbox.redis
    hits_before, misses_before = counted(server)
    with monitored(redis) as monitor:
        predictions = post_in_turn(server, bodies(sent), before=monitor.mark)
        read = np.array([len(stored.read_by(group)) for group in monitor.groups()])
    hits_after, misses_after = counted(server)
    hits, misses = hits_after - hits_before, misses_after - misses_before
    by_entity = 1 - float(np.mean(read)) / len(VIEWS)
    return predictions, HitRate(float(np.mean(read == 0)), by_entity, hits / max(hits + misses, 1))


def counted(server: Server) -> tuple[float, float]:
    """Return the hits and misses that /stats reports."""
    stats = server.get(STATS)
    counts = stats.body if stats.is_object else {}
    hits, misses = counts.get("cache_hits"), counts.get("cache_misses")
    if not isinstance(hits, int | float) or not isinstance(misses, int | float):
        raise SubmissionError(f"GET {STATS} gives no cache_hits and cache_misses: {stats}")
    if min(hits, misses) < 0:
        raise SubmissionError(f"GET {STATS} counts {hits:g} hits and {misses:g} misses")
    given, rate = counts.get("cache_hit_rate"), hits / max(hits + misses, 1)
    if isinstance(given, int | float) and not _is_share(given, rate):
        contradiction = f"its counts give {rate:.2f}: {hits:g} hits, {misses:g} misses"
        raise SubmissionError(f"GET {STATS} has a cache_hit_rate of {given:g}, but {contradiction}")
    return hits, misses


def _is_share(given: float, rate: float) -> bool:
    """Return True if it is the rate, as a share or in percent."""
    return min(abs(given - rate), abs(given / 100 - rate)) <= STATS_TOLERANCE


def lasting_keys(redis: SandboxRedis) -> Counter[str]:
    """Count the keys that live for more than a day, by database."""
    keyspace: Any = redis.client().info("keyspace")
    return Counter(
        {name: _lasting(redis.client(int(name.removeprefix("db")))) for name in keyspace}
    )


def _lasting(client: Any) -> int:
    pipeline = client.pipeline(transaction=False)
    for key in islice(client.scan_iter(count=1_000), MOST_KEYS):
        pipeline.ttl(key)
    return sum(seconds == -1 or seconds > A_DAY_S for seconds in pipeline.execute())


def seconds_until(server: Server, limit_s: float, *, healthy: bool) -> float | None:
    """Return the seconds until /health answers steadily as expected; None if it never does."""
    start, relapses = time.monotonic(), 0
    while (passed := time.monotonic() - start) < limit_s and relapses <= MOST_RELAPSES:
        if _health_is(server, limit_s - passed, healthy=healthy):
            reached = time.monotonic() - start
            if _stays(server, limit_s, healthy=healthy):
                return reached
            relapses += 1
        time.sleep(POLL_S)
    return None


def _health_is(server: Server, timeout_s: float, *, healthy: bool) -> bool:
    answer = ask(server.url + HEALTH, None, timeout_s)
    return bool(answer.status) and says_healthy(answer) is healthy


def _stays(server: Server, timeout_s: float, *, healthy: bool) -> bool:
    """Return True if /health answers the same for a second, and in a few requests at least."""
    start, requests = time.monotonic(), 0
    while time.monotonic() - start < STEADY_S or requests < STEADY_REQUESTS:
        time.sleep(POLL_S)
        if not _health_is(server, timeout_s, healthy=healthy):
            return False
        requests += 1
    return True
