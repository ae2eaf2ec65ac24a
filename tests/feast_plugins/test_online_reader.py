"""The online reader returns the SDK's values, and separates missing, null and expired ones."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from feast import ValueType
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feast_plugins.online_errors import RequestError
from feast_plugins.online_features import OnlineFeatures, Status
from feast_plugins.online_reader import OnlineReader
from feast_plugins.read_plan import Rows
from feast_plugins.redis_encoding import entity_key, feature_field, time_field
from lab.stack.redis import RedisServer
from tests.feast_plugins.online_reader_repo import DAY, HOUR, NOW, PROJECT, TYPES, Repo

pytestmark = pytest.mark.usefixtures("client")  # which empties Redis before each test

PRESENT, NULL, MISSING, EXPIRED = Status.PRESENT, Status.NULL, Status.MISSING, Status.EXPIRED
SERVICES = ["types", "stats", "some", "entities", "of_all", "only_of_all", "expiring"]
COMPUTED = ["computed", "computed_only"]

TEXT = st.text(max_size=20)
MOMENT = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
VALUES: dict[ValueType, st.SearchStrategy[Any]] = {
    ValueType.INT32: st.integers(-(2**31), 2**31 - 1),
    ValueType.INT64: st.integers(-(2**63), 2**63 - 1),
    ValueType.FLOAT: st.floats(width=32, allow_nan=False),
    ValueType.DOUBLE: st.floats(allow_nan=False),
    ValueType.STRING: TEXT,
    ValueType.BOOL: st.booleans(),
    ValueType.BYTES: st.binary(min_size=1, max_size=20),
    ValueType.UNIX_TIMESTAMP: MOMENT,
}
TYPED_ROW = st.fixed_dictionaries(
    {
        name: st.none()
        | (
            st.lists(VALUES[ValueType[kind.to_value_type().name.removesuffix("_LIST")]], max_size=3)
            if name.endswith("_list")
            else VALUES[kind.to_value_type()]
        )
        for name, kind in TYPES.items()
    }
)
COUNTS = st.integers(0, 1000)
USERS, SHOPS, SHELVES = ["u1", "ü☕", "", "u4"], [0, -1, 2**62], [-5, 7]
ONE_ROW = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(USERS),
        "payer_id": st.sampled_from(USERS),
        "payee_id": st.sampled_from(USERS),
        "shop_id": st.sampled_from(SHOPS),
        "shelf_id": st.sampled_from(SHELVES),
        "amount": st.floats(0, 100),
    }
)


COUNTED = st.integers(0, 9).map(lambda n: Value(int64_val=n).SerializeToString())
# A float, and a text of as many bytes.
MEAN = st.sampled_from(
    [value.SerializeToString() for value in (Value(float_val=0.25), Value(string_val="abc"))]
)
NO_VALUES = st.sampled_from([None, b"", b"\x98\x01\0", b"\xff"])  # two are nulls, one is garbage


def moment(age: timedelta) -> bytes:
    time = Timestamp()
    time.FromDatetime(NOW - age)
    return bytes(time.SerializeToString())


AGES = DAY, DAY / 2, DAY + timedelta(seconds=1)
TIMES = st.sampled_from([None, b"\xff", b"\x08" + b"\xff" * 8 + b"\x7f", *map(moment, AGES)])
ANY = COUNTED | MEAN | NO_VALUES
STORED = st.tuples(st.just(moment(DAY)), COUNTED, MEAN) | st.tuples(TIMES, ANY, ANY)


@pytest.fixture(scope="module")
def repo(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo(tmp_path_factory.mktemp("repo"), server)


def read(
    repo: Repo, service: str, rows: Mapping[str, Sequence[Any]], **options: Any
) -> OnlineFeatures:
    options = {"now": lambda: NOW, **options}
    with OnlineReader.open(repo.config, service, **options) as reader:
        return reader.read(rows)


@pytest.fixture(scope="module")
def readers(repo: Repo) -> Iterator[dict[str, OnlineReader]]:
    names = [*SERVICES, *COMPUTED, "two_users"]
    opened = {
        name: OnlineReader.open(
            repo.config, name, now=lambda: NOW, full_feature_names=name == "two_users"
        )
        for name in names
    }
    yield opened
    for reader in opened.values():
        reader.close()


@pytest.fixture(scope="module")
def filling(repo: Repo) -> Iterator[OnlineReader]:
    """Yield a reader of `stats` with a default."""
    with OnlineReader.open(repo.config, "stats", now=lambda: NOW, defaults={"count": 7}) as reader:
        yield reader


# ---- Equal to Feast's SDK --------------------------------------------------------------------


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_service_answers_as_the_sdk_does(
    repo: Repo, readers: dict[str, OnlineReader], server: RedisServer, data: st.DataObject
) -> None:
    server.client().flushall()
    recent = st.integers(0, 3599).map(lambda seconds: NOW - timedelta(seconds=seconds))
    for user in data.draw(st.sets(st.sampled_from(USERS))):
        entity = {"user_id": user}
        repo.write("types", entity, data.draw(TYPED_ROW), data.draw(recent))
        values = {"count": data.draw(st.none() | COUNTS), "mean": data.draw(COUNTS) / 7}
        repo.write("stats", entity, values, data.draw(recent))
        repo.write("brief", entity, {"clicks": data.draw(COUNTS)}, data.draw(recent))
        repo.write("forever", entity, {"word": data.draw(TEXT)}, data.draw(MOMENT))
        shop = data.draw(st.sampled_from(SHOPS))
        repo.write("pair", {"shop_id": shop, **entity}, {"visits": 1}, data.draw(recent))
    repo.write("shelves", {"shelf_id": SHELVES[0]}, {"items": 3})
    repo.write("all_users", {"__dummy_id": ""}, {"total": 9})
    request = data.draw(st.lists(ONE_ROW, min_size=1, max_size=6))
    for service, reader in readers.items():
        # A column of the unaliased join key would confuse Feast's SDK.
        unused = {"user_id"} if service == "two_users" else {"payer_id", "payee_id"}
        rows: Rows = {name: [row[name] for row in request] for name in request[0].keys() - unused}
        named = {"full_feature_names": service == "two_users"}
        theirs = repo.sdk(service, rows, **named).to_dict(include_event_timestamps=True)
        ours = reader.read(rows)
        hidden = {*rows, "seen"}
        wanted = {name for name in theirs if not name.endswith("__ts")} - hidden
        assert {name: ours.values[name] for name in wanted} == {n: theirs[n] for n in wanted}
        assert set(ours.values) - hidden == wanted
        for name in wanted:
            assert theirs[f"{name}__ts"] == seconds_of(name, ours, repo, service)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stored=st.lists(STORED, min_size=4, max_size=4))
def test_rows_read_together_are_as_read_alone(
    filling: OnlineReader, server: RedisServer, stored: list[tuple[bytes | None, ...]]
) -> None:
    """Whatever is stored: values, values of another type, nulls, garbage, or nothing."""
    client = server.client()
    client.flushall()
    fields = [time_field("stats"), feature_field("stats", "count"), feature_field("stats", "mean")]
    for user, contents in zip(USERS, stored, strict=True):
        named = zip(fields, contents, strict=True)
        present = {field: content for field, content in named if content is not None}
        if present:
            client.hset(entity_key(PROJECT, "user_id", user), mapping=present)
    together = filling.read({"user_id": USERS})
    alone = [filling.read({"user_id": [user]}) for user in USERS]
    for name in ("count", "mean"):
        assert together.values[name] == [one.values[name][0] for one in alone]
        assert together.statuses[name] == [one.statuses[name][0] for one in alone]
    assert together.event_times["stats"] == [one.event_times["stats"][0] for one in alone]


def seconds_of(feature: str, answer: OnlineFeatures, repo: Repo, service: str) -> list[int]:
    """Return the event times of a feature's view, as Feast does; a computed feature has none."""
    owners = {f.name: name for name, view in repo.views.items() for f in view.features}
    view = feature.split("__")[0] if service == "two_users" else owners[feature]
    times = answer.event_times.get(view, [None] * len(answer.values[feature]))
    return [0 if time is None else int(time.timestamp()) for time in times]


def test_features_come_in_the_services_order(repo: Repo) -> None:
    answer = read(repo, "some", {"user_id": ["u1"]})
    assert list(answer.values) == list(answer.statuses) == ["string", "int64_list", "mean"]


def test_a_request_without_rows_has_an_answer_without_rows(repo: Repo) -> None:
    answer = read(repo, "computed", {"user_id": [], "amount": []})
    assert set(map(len, answer.values.values())) == {0}


# ---- What was stored -------------------------------------------------------------------------


def test_present_null_missing_and_expired_are_distinguished(repo: Repo) -> None:
    repo.write("stats", {"user_id": "here"}, {"count": 3, "mean": None}, NOW - HOUR)
    repo.write("stats", {"user_id": "old"}, {"count": 3, "mean": 0.5}, NOW - 2 * DAY)
    repo.write("stats", {"user_id": "partly"}, {"count": 3}, NOW - HOUR)
    answer = read(repo, "stats", {"user_id": ["here", "old", "partly", "nobody"]})
    assert answer.values == {"count": [3, None, 3, None], "mean": [None] * 4}
    assert answer.statuses == {
        "count": [PRESENT, EXPIRED, PRESENT, MISSING],
        "mean": [NULL, EXPIRED, MISSING, MISSING],
    }
    assert answer.event_times == {"stats": [NOW - HOUR, NOW - 2 * DAY, NOW - HOUR, None]}


@pytest.mark.parametrize(
    ("age", "status"),
    [(HOUR, PRESENT), (HOUR + timedelta(microseconds=1), EXPIRED), (-HOUR, PRESENT)],
    ids=["as old as the TTL", "older", "in the future"],
)
def test_each_view_has_its_own_ttl(repo: Repo, age: timedelta, status: Status) -> None:
    for view, values in (
        ("stats", {"count": 1}),
        ("brief", {"clicks": 2}),
        ("forever", {"word": "w"}),
    ):
        repo.write(view, {"user_id": "u"}, values, NOW - age)
    answer = read(repo, "expiring", {"user_id": ["u"]})
    assert answer.statuses["clicks"] == [status]
    assert answer.statuses["count"] == answer.statuses["word"] == [PRESENT]


ONE_OF_EACH: dict[str, Any] = {
    "int32": -(2**31),
    "int64": 2**63 - 1,
    "float32": 0.5,
    "float64": 0.1,
    "string": "naïve ☕",
    "bool": True,
    "bytes": b"\x00\xff",
    "unix_timestamp": NOW,
}
ONE_OF_EACH |= {f"{name}_list": [value, value] for name, value in ONE_OF_EACH.items()}


def test_only_a_value_of_the_declared_type_is_one(repo: Repo, server: RedisServer) -> None:
    """Each feature has the bytes of each one in turn, and its own without the last byte."""
    repo.write("types", {"user_id": "right"}, ONE_OF_EACH)
    client, names = server.client(), list(TYPES)
    fields = [feature_field("types", name) for name in names]
    time, *stored = client.hmget(
        entity_key(PROJECT, "user_id", "right"), [time_field("types"), *fields]
    )
    shifted = [stored[place:] + stored[:place] for place in range(1, len(stored))]
    wrong = [*shifted, [content[:-1] for content in stored]]
    for number, contents in enumerate(wrong):
        mapping = {time_field("types"): time, **dict(zip(fields, contents, strict=True))}
        client.hset(entity_key(PROJECT, "user_id", f"wrong {number}"), mapping=mapping)
    users = ["right", *(f"wrong {number}" for number in range(len(wrong)))]
    answer = read(repo, "types", {"user_id": users}, defaults={"int32": 7})
    assert {name: answer.values[name][0] for name in names} == ONE_OF_EACH
    assert set(answer.values["int32"][1:]) == {7}
    for name in names:
        assert answer.statuses[name] == [PRESENT, *[Status.WRONG_TYPE] * len(wrong)], name


def test_defaults_fill_what_is_missing_null_or_expired_before_views_are_computed(
    repo: Repo,
) -> None:
    repo.write("stats", {"user_id": "here"}, {"count": 3, "mean": 4.0})
    repo.write("stats", {"user_id": "null"}, {"count": 3, "mean": None})
    repo.write("stats", {"user_id": "old"}, {"count": 3, "mean": 4.0}, NOW - 2 * DAY)
    rows: Rows = {"user_id": ["here", "null", "old", "nobody"], "amount": [8.0] * 4}
    filled = read(repo, "computed_only", rows, defaults={"mean": 2.0})
    assert filled.values == {"ratio": [2.0, 4.0, 4.0, 4.0]}
    unfilled = read(repo, "computed_only", rows)
    assert unfilled.values == {"ratio": [2.0, None, None, None]}
    assert unfilled.statuses == {"ratio": [PRESENT, NULL, NULL, NULL]}


# ---- Names -----------------------------------------------------------------------------------


def test_computed_features_have_full_names_too(repo: Repo) -> None:
    """Feast's SDK leaves them out."""
    rows: Rows = {"user_id": ["u"], "amount": [3.0]}
    answer = read(repo, "computed", rows, full_feature_names=True)
    assert answer.values["ratios__rounded"] == [1.0]
    assert "ratios__rounded" not in repo.sdk("computed", rows, full_feature_names=True).to_dict()


def test_a_computed_view_sees_the_request_and_the_views_that_it_declares(repo: Repo) -> None:
    answer = read(repo, "computed", {"user_id": ["u"], "amount": [3.0], "other": [1]})
    assert answer.values["seen"] == ["amount count mean stats__count stats__mean user_id"]


# ---- Requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"user_id": ["u"]}, "no column amount: give amount, user_id"),
        ({}, "no column amount, user_id: give"),
        ({"user_id": ["u", "v"], "amount": [1.0]}, "columns of one length.*'user_id': 2"),
        ({"user_id": [None], "amount": [1.0]}, "columns user_id: a join key is null"),
    ],
)
def test_a_wrong_request_is_rejected_in_one_sentence(
    repo: Repo, rows: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        read(repo, "computed", rows)


def test_a_join_key_of_another_type_is_rejected(repo: Repo) -> None:
    rows: Rows = {"user_id": ["u"], "shop_id": ["corner"], "shelf_id": [1]}
    with pytest.raises(RequestError, match=r"columns shop_id, user_id: .*corner"):
        read(repo, "entities", rows)
