"""How the checks ask a service, and what they make of its answers."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from lab.grading.compare import differences, equal_rows
from lab.grading.http_probe import Answer, Body, ask
from lab.grading.outcome import CounterExample, SubmissionError
from lab.grading.payments import PAIR, PROBABILITY, bodies_of, expected_features
from lab.grading.server import Server, says_healthy
from lab.grading.submission import Submission

PREDICT, BATCH, HEALTH, STATS = "/predict", "/predict/batch", "/health", "/stats"
PATIENCE = 3  # answers that may stay away before no more are asked for
POLL_S = 0.1


def nothing() -> None:
    """What is done before a request, unless a check says otherwise."""


def ask_in_turn(
    server: Server, requests: Sequence[Body], before: Callable[[], None] = nothing
) -> list[Any]:
    """What /predict answers to each request, one after the other; `before` is called before each.

    Null where nothing came; after a few of those no more are asked for.
    """
    answers: list[Answer] = []
    for request in requests:
        before()
        answers.append(server.post(PREDICT, request))
        if sum(not answer.status for answer in answers) == PATIENCE:
            break
    found = bodies_of(answers)
    return found + [None] * (len(requests) - len(found))


def right_rows(submission: Submission, asked: pd.DataFrame, got: pd.DataFrame) -> pd.Series:
    """Whether each answer is about its own pair and has the right features."""
    return equal_rows(asked, got, [*PAIR, *expected_features(submission.hidden)])


def wrong_values(
    submission: Submission, asked: pd.DataFrame, got: pd.DataFrame
) -> list[CounterExample]:
    columns = [*PAIR, *expected_features(submission.hidden)]
    return differences(asked, got, columns, of=asked[[*PAIR, "transaction_amount"]])


def is_prediction(found: Any) -> bool:
    """Whether it has a verdict, and a probability between 0 and 1."""
    if not isinstance(found, dict) or not isinstance(found.get("is_fraud"), bool):
        return False
    probability = found.get(PROBABILITY)
    return isinstance(probability, int | float) and 0 <= probability <= 1


def counted(server: Server) -> tuple[float, float]:
    """Hits and misses, as /stats tells them."""
    said = server.get(STATS)
    counts = said.body if said.is_object else {}
    hits, misses = counts.get("cache_hits"), counts.get("cache_misses")
    if not isinstance(hits, int | float) or not isinstance(misses, int | float):
        raise SubmissionError(f"GET {STATS} gives no cache_hits and cache_misses: {said}")
    return hits, misses


def seconds_until(server: Server, limit_s: float, *, healthy: bool) -> float | None:
    """How long until /health answers that it is healthy, or is not; None if it never does."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < limit_s:
        answer = ask(server.url + HEALTH, None, limit_s - passed)
        if answer.status and says_healthy(answer) is healthy:
            return time.monotonic() - start
        time.sleep(POLL_S)
    return None
