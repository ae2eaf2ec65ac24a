"""Streaming values in the layouts of submissions, and other content in their place."""

import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from checker.streaming.events import FEATURES, VIEW, Event, recount
from checker.streaming.values import Read, reader
from checker.submission.names import Names
from checker.verdict.outcome import SubmissionError
from lab.settings import utc_now
from lab.stack.redis import RedisServer, private_redis

VALUES = {name: number + 0.5 for number, name in enumerate(FEATURES)}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def reading(redis: RedisServer, layout: str, **features: str) -> Read:
    own = {f"{VIEW}:{name}": f"{VIEW}:{theirs}" for name, theirs in features.items()}
    names = Names(features=own, stream_read=layout)
    submission: Any = SimpleNamespace(names=names, sandbox=SimpleNamespace(redis=redis))
    return reader(submission)


def test_json_and_hashes_are_read_under_names_of_their_own(redis: RedisServer) -> None:
    theirs = {**VALUES, "count": VALUES["transaction_count_5m"]}
    del theirs["transaction_count_5m"]
    redis.client().set("features:a", json.dumps(theirs))
    redis.client().hset("hashes:a", mapping=theirs)
    for layout in ("json:features:{user_id}", "hash:hashes:{user_id}"):
        found = reading(redis, layout, transaction_count_5m="count")(["nobody", "a"])
        assert found.loc["a"].to_dict() == VALUES
        assert found.loc["nobody"].isna().all()


@pytest.mark.parametrize(
    "value",
    ["[1, 2]", "nonsense", '{"transaction_count_5m": {"a": 1}}', b"\xff", '"text"', "[" * 100_000],
    ids=["list", "no_json", "nested", "bytes", "text", "deep"],
)
def test_what_is_no_value_counts_as_none(redis: RedisServer, value: str | bytes) -> None:
    redis.client().set("odd:a", value)
    redis.client().hset("odd:b", mapping={"transaction_count_5m": value})
    for layout in ("json:odd:{user_id}", "hash:odd:{user_id}"):
        assert reading(redis, layout)(["a", "b"]).isna().all(axis=None)


def test_a_number_without_measure_is_no_right_one(redis: RedisServer) -> None:
    redis.client().set("huge:a", json.dumps({**VALUES, "transaction_count_5m": 10**400}))
    assert reading(redis, "json:huge:{user_id}")(["a"]).loc["a", "transaction_count_5m"] != 1


@pytest.mark.parametrize("layout", ["csv:{user_id}", "json:no_user", ""])
def test_a_layout_that_is_none_is_told(redis: RedisServer, layout: str) -> None:
    with pytest.raises(SubmissionError, match="read is"):
        reading(redis, layout)


def test_the_recount_is_a_plain_count() -> None:
    now = utc_now()
    events = [Event("a", now, 0.1), Event("a", now, 0.2, is_approved=False), Event("b", now, 7.0)]
    a, b = (recount(events).loc[user].to_dict() for user in ("a", "b"))
    assert a["total_amount_5m"] == 0.3
    assert (a["transaction_count_5m"], a["declined_count_5m"], a["max_amount_5m"]) == (2, 1, 0.2)
    assert a["avg_amount_1h"] == a["avg_amount_5m"] == 0.15
    assert (b["transaction_count_1h"], b["declined_count_5m"]) == (1, 0)


def test_the_hour_has_what_is_of_five_minutes_before() -> None:
    now = utc_now()
    events = [Event("a", now, 1.0), Event("a", now, 3.0)]
    earlier = [Event("a", now - timedelta(minutes=5), 0.5), Event("b", now, 7.0)]
    counted = recount(events, earlier)
    a = counted.loc["a"].to_dict()
    assert list(counted.index) == ["a"]
    assert (a["transaction_count_5m"], a["total_amount_5m"], a["avg_amount_5m"]) == (2, 4.0, 2.0)
    assert (a["transaction_count_1h"], a["avg_amount_1h"]) == (3, 1.5)
