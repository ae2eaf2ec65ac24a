"""Many rows are read in columns, one row by itself: both give the same, whatever is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from feast_plugins.online_features import OnlineFeatures
from feast_plugins.read_plan import EntityRead, ReadPlan, Reply
from feast_plugins.redis_encoding import (
    KeyLayout,
    Kind,
    column_decoder,
    decoder,
    feature_field,
    time_field,
)
from feast_plugins.stored_view import StoredFeature, ViewRead

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
KINDS = {"count": Kind.INT64, "mean": Kind.DOUBLE, "rate": Kind.FLOAT, "name": Kind.STRING}
DEFAULTS = {"count": 7, "mean": None, "rate": 0.5, "name": None}


def feature(name: str, place: int) -> StoredFeature:
    kind = KINDS[name]
    return StoredFeature(name, place, decoder(kind), column_decoder(kind), DEFAULTS[name])


VIEW = ViewRead("users", 0, DAY, tuple(feature(name, at) for at, name in enumerate(KINDS, 1)))
USER = EntityRead(
    columns=("user_id",),
    layout=KeyLayout("shop", {"user_id": Kind.STRING}),
    fields=(time_field("users"), *(feature_field("users", name) for name in KINDS)),
    views=(VIEW,),
)
PLAN = ReadPlan((USER,), (), ("user_id",), {}, {name: ("users", name) for name in KINDS})


def value(**content: Any) -> bytes:
    from feast.protos.feast.types.Value_pb2 import Value

    return Value(**content).SerializeToString()


def moment(age: timedelta) -> bytes:
    time = Timestamp()
    time.FromDatetime(NOW - age)
    return time.SerializeToString()


CONTENTS = st.one_of(
    st.none(),
    st.sampled_from([b"", b"\x98\x01\0", b"\xff"]),  # a null, the other null, garbage
    st.integers(-(2**63), 2**63 - 1).map(lambda number: value(int64_val=number)),
    st.floats(allow_nan=False).map(lambda number: value(double_val=number)),
    st.floats(width=32, allow_nan=False).map(lambda number: value(float_val=number)),
    st.text(max_size=5).map(lambda text: value(string_val=text)),
)
TIMES = st.sampled_from([None, moment(DAY), moment(DAY / 2), moment(DAY + timedelta(seconds=1))])
USABLE = st.tuples(
    st.just(moment(DAY)),
    st.integers(0, 9).map(lambda number: value(int64_val=number)),
    st.floats(0, 9).map(lambda number: value(double_val=number)) | st.just(b""),
    st.just(value(float_val=0.25)),
    st.just(value(string_val="a")) | st.none(),
)
REPLIES = USABLE | st.tuples(TIMES, *[CONTENTS] * len(KINDS))


def read(users: list[int], stored: list[Reply]) -> OnlineFeatures:
    asked = PLAN.ask({"user_id": [f"user_{user}" for user in users]})
    return PLAN.answer(asked, [stored[user] for user in dict.fromkeys(users)], NOW)


@given(st.lists(REPLIES, min_size=4, max_size=4), st.lists(st.integers(0, 3), max_size=8))
def test_rows_read_together_are_as_read_alone(stored: list[Reply], users: list[int]) -> None:
    together, alone = read(users, stored), [read([user], stored) for user in users]
    for name in KINDS:
        assert together.values[name] == [one.values[name][0] for one in alone]
        assert together.statuses[name] == [one.statuses[name][0] for one in alone]
    assert together.event_times["users"] == [one.event_times["users"][0] for one in alone]
    assert together.sources == PLAN.outputs


def test_an_entity_in_many_rows_is_asked_for_once() -> None:
    assert len(PLAN.ask({"user_id": ["a", "b", "a", "a"]}).commands) == 2
