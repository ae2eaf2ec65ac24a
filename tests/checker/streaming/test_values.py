"""Streaming values in the layouts of submissions, and other content in their place."""

import json
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from checker.streaming.events import FEATURES, VIEW
from checker.streaming.values import Read, expiring, reader
from checker.submission.names import Names
from checker.verdict.outcome import SubmissionError
from feast_plugins.redis_encoding import entity_key
from lab.stack.redis import RedisServer

DAY = timedelta(days=1)
VALUES = {name: number + 0.5 for number, name in enumerate(FEATURES)}


def submitted(
    server: RedisServer,
    layout: str,
    ttl: timedelta = DAY,
    features: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    own = {f"{VIEW}:{name}": f"{VIEW}:{theirs}" for name, theirs in features.items()}
    return SimpleNamespace(
        names=Names(features=own, stream_read=layout),
        sandbox=SimpleNamespace(redis=server),
        project="shop",
        key_version=3,
        view=lambda *_: SimpleNamespace(name=VIEW, join_keys=("user_id",), ttl=ttl),
    )


def reading(server: RedisServer, layout: str, **features: str) -> Read:
    return reader(submitted(server, layout, features=features))


def test_json_and_hashes_are_read_under_names_of_their_own(server: RedisServer) -> None:
    theirs = {**VALUES, "count": VALUES["transaction_count_5m"]}
    del theirs["transaction_count_5m"]
    server.client().set("features:a", json.dumps(theirs))
    server.client().hset("hashes:a", mapping=theirs)
    for layout in ("json:features:{user_id}", "hash:hashes:{user_id}"):
        found = reading(server, layout, transaction_count_5m="count")(["nobody", "a"])
        assert found.loc["a"].to_dict() == VALUES
        assert found.loc["nobody"].isna().all()


@pytest.mark.parametrize(
    "value",
    ["[1, 2]", "nonsense", '{"transaction_count_5m": {"a": 1}}', b"\xff", '"text"', "[" * 100_000],
    ids=["list", "no_json", "nested", "bytes", "text", "deep"],
)
def test_what_is_no_value_counts_as_none(server: RedisServer, value: str | bytes) -> None:
    server.client().set("odd:a", value)
    server.client().hset("odd:b", mapping={"transaction_count_5m": value})
    for layout in ("json:odd:{user_id}", "hash:odd:{user_id}"):
        assert reading(server, layout)(["a", "b"]).isna().all(axis=None)


def test_a_number_without_measure_is_no_right_one(server: RedisServer) -> None:
    server.client().set("huge:a", json.dumps({**VALUES, "transaction_count_5m": 10**400}))
    assert reading(server, "json:huge:{user_id}")(["a"]).loc["a", "transaction_count_5m"] != 1


@pytest.mark.parametrize("layout", ["csv:{user_id}", "json:no_user", ""])
def test_a_layout_that_is_none_is_reported(server: RedisServer, layout: str) -> None:
    with pytest.raises(SubmissionError, match="read is"):
        reading(server, layout)


def test_rows_expire_by_the_ttl_of_their_key(server: RedisServer) -> None:
    server.client().set("ttl:a", "{}", ex=3_600)
    server.client().set("ttl:b", "{}")
    assert expiring(submitted(server, "json:ttl:{user_id}"), ["a"]) == 1
    assert expiring(submitted(server, "json:ttl:{user_id}"), ["a", "b", "absent"]) == 1


def test_rows_of_feast_expire_by_the_view_or_by_the_key(server: RedisServer) -> None:
    server.client().set(entity_key("shop", "user_id", "a", 3), "", ex=3_600)
    assert expiring(submitted(server, "feast"), ["a", "b"]) == 2
    assert expiring(submitted(server, "feast", timedelta(0)), ["a", "b"]) == 1
