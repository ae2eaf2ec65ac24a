"""Reads the streaming features that a submission wrote to Redis, in the layout that it names."""

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import pandas as pd
import redis

from checker.sandbox import untrusted
from checker.streaming.events import FEATURES, VIEW
from checker.submission.online import read_online
from checker.submission.registry import View
from checker.submission.submission import Submission
from checker.verdict.outcome import SubmissionError
from feast_plugins.redis_encoding import entity_key

USER = "{user_id}"

Read = Callable[[Sequence[str]], pd.DataFrame]


def reader(submission: Submission) -> Read:
    """Return a reader of users' features: a row for each user, in order, null where there is none.

    Raises SubmissionError when the layout is unknown, or when the registry has no such features.
    """
    layout, _, pattern = submission.names.stream_read.partition(":")
    client = submission.sandbox.redis.client()
    if layout == "feast":
        return _feast_reader(submission, client)
    if layout not in LAYOUTS or USER not in pattern:
        raise SubmissionError(
            f"[streaming] read is {submission.names.stream_read!r}",
            hint='it is "feast", or "json:…{user_id}…" or "hash:…{user_id}…", a key of Redis',
        )
    return _key_reader(submission, client, LAYOUTS[layout], pattern)


def expiring(submission: Submission, users: Sequence[str]) -> int:
    """Return how many users have rows that expire: by the TTL of the key, or of Feast's view."""
    layout, _, pattern = submission.names.stream_read.partition(":")
    keys: list[list[str | bytes]] = [[pattern.replace(USER, user)] for user in users]
    if layout == "feast":
        views = [view for view in _views(submission).values() if not view.ttl]
        project, version = submission.project, submission.key_version
        keys = [
            [entity_key(project, v.join_keys[0], user, version) for v in views] for user in users
        ]
    client = submission.sandbox.redis.client()
    return sum(all(client.pttl(key) > 0 for key in of_user) for of_user in keys)


def _views(submission: Submission) -> dict[str, View]:
    return {view.name: view for view in (submission.view(VIEW, name) for name in FEATURES)}


def _feast_reader(submission: Submission, client: redis.Redis) -> Read:
    places = {feature: submission.names.feature(VIEW, feature) for feature in FEATURES}
    views = _views(submission)

    def read(users: Sequence[str]) -> pd.DataFrame:
        found = {name: _of_view(submission, client, view, users) for name, view in views.items()}
        columns = {name: found[view][own] for name, (view, own) in places.items()}
        return pd.DataFrame(columns, index=list(users))

    return read


def _of_view(
    submission: Submission, client: redis.Redis, view: View, users: Sequence[str]
) -> pd.DataFrame:
    return read_online(client, submission.project, submission.key_version, view, users)


def _key_reader(
    submission: Submission,
    client: redis.Redis,
    layout: tuple[str, Callable[[Any], dict[str, Any]]],
    pattern: str,
) -> Read:
    command, parse = layout
    own = {feature: submission.names.feature(VIEW, feature)[1] for feature in FEATURES}

    def read(users: Sequence[str]) -> pd.DataFrame:
        pipe = client.pipeline(transaction=False)
        for user in users:
            pipe.execute_command(command, pattern.replace(USER, user))
        found = [parse(answer) for answer in pipe.execute(raise_on_error=False)]
        rows = [[_number(values.get(own[feature])) for feature in FEATURES] for values in found]
        return pd.DataFrame(rows, index=list(users), columns=list(FEATURES), dtype="float64")

    return read


def _number(found: Any) -> float:
    try:
        return float(found)
    except (TypeError, ValueError, OverflowError):
        return nan


def _json(answer: Any) -> dict[str, Any]:
    try:
        values = untrusted.parsed(answer)
    except (TypeError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _hash(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        return {}
    return {_text(name): _text(value) for name, value in answer.items()}


def _text(found: bytes) -> str:
    return found.decode(errors="replace")


LAYOUTS = {"json": ("GET", _json), "hash": ("HGETALL", _hash)}
