"""Requests that an API has to refuse, and those of users and merchants that it does not know."""

import pandas as pd

from checker.hidden.catalogue import KNOWN_VIEWS
from checker.serving.api_client import BATCH, PREDICT
from checker.serving.http_probe import Answer, Body
from checker.serving.payments import PAIR, VIEWS, answered
from checker.serving.server import Server
from checker.submission.submission import Submission
from checker.verdict.equality import equal_rows

UNKNOWN = "nobody"
UNAVAILABLE = 503


def is_refused(answer: Answer) -> bool:
    """Return whether the status calls it the client's mistake."""
    return 400 <= answer.status < 500


def accepted_mistakes(server: Server, body: Body) -> list[str]:
    """Return what is not refused: amounts with a 4xx, incomplete requests with any error."""
    amounts = {f"an amount of {n}": server.post(PREDICT, _paying(body, n)) for n in (0, -12.5)}
    accepted = {request: answer for request, answer in amounts.items() if not is_refused(answer)}
    for name in (*PAIR, "transaction_amount"):
        answer = server.post(PREDICT, {n: value for n, value in body.items() if n != name})
        if answer.status < 400:
            accepted[f"no {name}"] = answer
    return [f"{request}: {answer}" for request, answer in accepted.items()]


def accepted_batches(server: Server, full: list[Body]) -> list[str]:
    """Return which batches are not refused with a 4xx: one too large, one with an amount of 0.

    An empty one may be answered, with an empty list; a 5xx is a crash.
    """
    batches = {str(len(full) + 1): [*full, full[0]], "an amount of 0": [_paying(full[0], 0)]}
    answers = {n: server.post(BATCH, {"transactions": batch}) for n, batch in batches.items()}
    wrong = {n: answer for n, answer in answers.items() if not is_refused(answer)}
    empty = server.post(BATCH, {"transactions": []})
    if empty.status >= 500:
        wrong["nothing"] = empty
    return [f"{n} in a batch: {answer}" for n, answer in wrong.items()]


def _paying(body: Body, amount: float) -> Body:
    return {**body, "transaction_amount": amount}


def unknown_mistakes(
    submission: Submission, server: Server, sent: pd.DataFrame, known: Body
) -> list[str]:
    """Return what is wrong in the answer about a user without features, after those of `sent`.

    A refusal is right, and so is a prediction in which the unknown is null, missing or a default.
    """
    answer = server.post(PREDICT, {**known, "user_id": UNKNOWN})
    if is_refused(answer) or answer.status == UNAVAILABLE:
        return []
    if not answer.is_object:
        return [f"a user without features: {answer}"]
    got = answered(submission, [answer.body] * len(sent))
    of_user = [n for n in KNOWN_VIEWS[VIEWS[0]].critical if n in submission.hidden.critical]
    is_of_another = bool(of_user) and equal_rows(sent, got, of_user).any()
    return ["a user without features has those of another"] if is_of_another else []
