"""Requests that an API has to refuse, and those of users and merchants that it does not know."""

import pandas as pd

from checker.hidden.catalogue import KNOWN_VIEWS
from checker.serving.api_client import PREDICT, is_prediction
from checker.serving.http_probe import Answer, Body
from checker.serving.payments import PAIR, VIEWS, answered
from checker.serving.server import Server
from checker.submission.submission import Submission

UNKNOWN = ("nobody", "stranger", "no_one")
UNAVAILABLE = 503


def is_refused(answer: Answer) -> bool:
    """Return whether the status calls it the client's mistake."""
    return 400 <= answer.status < 500


def accepted_mistakes(server: Server, body: Body) -> list[str]:
    """Return the mistakes in a request of `/predict` that it does not refuse with a 4xx."""
    mistakes: dict[str, Body] = {
        f"transaction_amount {amount}": {**body, "transaction_amount": amount}
        for amount in (0, -12.5)
    }
    for name in (*PAIR, "transaction_amount"):
        mistakes[f"no {name}"] = {n: value for n, value in body.items() if n != name}
    answers = {said: server.post(PREDICT, wrong) for said, wrong in mistakes.items()}
    return [f"{said}: {a.status_or_error}" for said, a in answers.items() if not is_refused(a)]


def unknown_mistakes(submission: Submission, server: Server, known: list[Body]) -> list[str]:
    """Return what is wrong in answers about unknown users; one of a known user precedes each.

    A refusal is right, and so is a prediction in which what is unknown is null or a constant.
    """
    answers: list[Answer] = []
    for name, of_another in zip(UNKNOWN, known, strict=False):
        server.post(PREDICT, of_another)
        answers.append(server.post(PREDICT, {**of_another, "user_id": name}))
    failed = [a for a in answers if not is_refused(a) and a.status not in (200, UNAVAILABLE)]
    if failed:
        return [f"an unknown user: {failed[0].status_or_error}"]
    found = [a.body for a in answers if a.status == 200]
    if not all(map(is_prediction, found)):
        return ["an unknown user: status 200 without a prediction"]
    got = answered(submission, found)
    return _others_features(got)


def _others_features(got: pd.DataFrame) -> list[str]:
    stored = [name for name in KNOWN_VIEWS[VIEWS[0]].features if name in got]
    if any(got[name].dropna().nunique() > 1 for name in stored):
        return ["unknown users have features that differ: those of others"]
    return []
