"""Production's job on every kind of record: each counts, is a copy, or is a dead letter."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from exercise_05_streaming.production.refusals import PERIOD_S, RefusalReport, dead_letters
from exercise_05_streaming.production.verify import accepted_events, differences
from exercise_05_streaming.topics import PARTITIONS, TRANSACTIONS
from lab.settings import settings, utc_now
from tests.exercise_05.payments import milliseconds, payment, record, traffic
from tests.exercise_05.pipeline import NewPipeline, Pipeline, logged, recomputed_tiles
from tests.exercise_05.strangers import GOOD_USERS, send_strangers
from tests.exercise_05.tiles_by_hand import Event, tile_of
from tests.settings_in_force import settings_in_force
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

EVENTS, OLD_EVENTS, MOST_CHARACTERS = 1_000, 20, 10_000
MILLISECOND = timedelta(milliseconds=1)
IDS = ("1001", "1001", "", "", " ", None, 7, "7", ["7"])
SLACK_S = 5  # in which the test reads the tiles
COUNTED = 7  # of a user: the copies of 1001 and of 7 are none

Place = tuple[int | None, int | None]  # a partition and an offset


@dataclass
class Scene:
    """The running pipeline, the good events that were sent, and the log that it has read."""

    pipeline: Pipeline
    sent: list[Event]
    messages: list[Message]


def send_ids(pipeline: Pipeline, now: datetime) -> None:
    """Send two tills with equal ids, payments without id, and a repaired rejected payment."""
    events = [payment(till, now, transaction_id=i) for till in ("till_a", "till_b") for i in IDS]
    events += [payment("repaired", now, transaction_id="1", amount=amount) for amount in (-1, 1)]
    pipeline.send(record(event, now) for event in events)


def refused_records(now: datetime) -> dict[str, str | None]:
    """Return a record for each reason of a dead letter; two are late or ahead by a millisecond."""
    late, ahead = now - settings.allowed_lateness, now + settings.allowed_ahead
    events = {
        "missing_user": payment("", now),
        "bad_user": payment("x" * 257, now),
        "missing_amount": payment("edge", now, amount=None),
        "bad_amount": payment("edge", now, amount=-1),
        "bad_time": payment("edge", now) | {"event_time": "yesterday"},
        "too_late": payment("edge", late - MILLISECOND),
        "too_far_ahead": payment("edge", ahead + MILLISECOND),
    }
    texts = {reason: json.dumps(event) for reason, event in events.items()}
    return texts | {"not_json": "[1]", "no_value": None}


def send_edges(pipeline: Pipeline, now: datetime) -> None:
    """Send records that are refused, each with its reason as key, and two that are just in time."""
    for time in (now - settings.allowed_lateness, now + settings.allowed_ahead):
        pipeline.send([record(payment("edge", time), now)])
    records = refused_records(now).items()
    pipeline.send((reason, value, milliseconds(now)) for reason, value in records)


def send_old_events(pipeline: Pipeline, now: datetime) -> None:
    """Send a replay: records as old as their events, after others that are new."""
    start = now - timedelta(hours=20)
    moments = [start + number * timedelta(minutes=7) for number in range(OLD_EVENTS)]
    pipeline.send(record(payment("old", moment), moment) for moment in moments)


@pytest.fixture(scope="module")
def scene(new_pipeline: NewPipeline) -> Iterator[Scene]:
    pipeline, now = new_pipeline(), utc_now()
    sent = send_strangers(pipeline, seed=27, now=now, floor="production")
    send_ids(pipeline, now)
    send_edges(pipeline, now)
    pipeline.send(islice(traffic(seed=5, users=200, late_by_s=600), EVENTS))
    send_old_events(pipeline, now)
    messages = pipeline.events()
    dead = len(messages) - len(accepted_events(logged(messages)))

    def is_settled() -> bool:
        assert job.process.poll() is None, job.output
        are_exact = pipeline.tiles() == recomputed_tiles(messages)
        return are_exact and len(pipeline.dead_letters()) == dead

    ports = {"kafka_port": pipeline.broker.port, "redis_port": pipeline.redis.port}
    with pipeline.job() as job, settings_in_force(**ports):
        job.wait_until_running()
        try:
            eventually(is_settled)
        except AssertionError:
            print(job.output)  # the tests show what differs
        yield Scene(pipeline, sent, messages)
        assert job.process.poll() is None, job.output


def test_every_good_event_counts(scene: Scene) -> None:
    good = {f"good_{number}" for number in range(GOOD_USERS)} | {"committed"}
    made = scene.pipeline.tiles()
    assert {user: [tile for tile in made if tile["user_id"] == user] for user in good} == {
        user: [tile_of(event for event in scene.sent if event.user == user)] for user in good
    }


def test_what_does_not_count_is_a_dead_letter_with_its_place(scene: Scene) -> None:
    reasons, log = reasons_of_dead_letters(scene), logged(scene.messages)
    places = zip(map(place_of, scene.messages), log, strict=True)
    refused = {place for place, each in places if accepted_events([each]).is_empty()}
    copies = {place for place, reason in reasons.items() if reason == "duplicate"}
    assert reasons.keys() - copies == refused
    assert len(accepted_events(log)) + len(refused) + len(copies) == len(log)


def test_a_dead_letter_has_its_reason(scene: Scene) -> None:
    reasons = reasons_of_dead_letters(scene)
    by_key = {message.key(): reasons.get(place_of(message)) for message in scene.messages}
    for reason in refused_records(utc_now()):
        assert by_key[reason.encode()] == reason


def reasons_of_dead_letters(scene: Scene) -> dict[Place, str]:
    letters = scene.pipeline.dead_letters()
    return {(dead["partition"], dead["offset"]): dead["reason"] for dead in letters}


def place_of(message: Message) -> Place:
    return message.partition(), message.offset()


def test_a_dead_letter_has_the_message_and_its_time(scene: Scene) -> None:
    """Bytes that are no text are replaced, and a long message is cut."""
    sent = {place_of(message): message for message in scene.messages}
    for dead in scene.pipeline.dead_letters():
        message = sent[dead["partition"], dead["offset"]]
        assert dead["record_time"] == message.timestamp()[1]
        with suppress(UnicodeDecodeError):
            text = (message.value() or b"").decode()
            assert (dead["value"] or "") == text or len(text) > MOST_CHARACTERS


def test_a_tile_only_grows(scene: Scene) -> None:
    counts: dict[bytes, int] = {}
    for key, tile in scene.pipeline.versions_of_tiles():
        assert tile["transaction_count"] > counts.get(key, 0)
        counts[key] = tile["transaction_count"]


def test_a_replay_of_old_events_counts_after_newer_ones(scene: Scene) -> None:
    old = [tile for tile in scene.pipeline.tiles() if tile["user_id"] == "old"]
    assert sum(tile["transaction_count"] for tile in old) == OLD_EVENTS


def test_job_and_recomputation_agree_on_every_record(scene: Scene) -> None:
    assert scene.pipeline.tiles() == recomputed_tiles(scene.messages)


def test_redis_equals_a_recomputation(scene: Scene) -> None:
    eventually(lambda: not differences())


def test_ids_are_per_user_and_a_blank_one_is_none(scene: Scene) -> None:
    counts: Counter[str] = Counter()
    for tile in scene.pipeline.tiles():
        counts[tile["user_id"]] += tile["transaction_count"]
    assert [counts[user] for user in ("till_a", "till_b", "repaired")] == [COUNTED, COUNTED, 1]


def test_refused_events_are_reported(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = Counter(dead["reason"] for dead in scene.pipeline.dead_letters())
    line = dead_letters()
    assert all(f"{number} {reason}" in line for reason, number in reasons.items())

    minutes = count(step=PERIOD_S)
    report = RefusalReport(lambda: next(minutes))
    now = utc_now()
    local = now + timedelta(minutes=60)
    scene.pipeline.send(record(payment("berlin", local), now) for _ in range(3))

    lines: list[str] = []

    def has_reported() -> bool:
        report.print_every_minute()
        lines.extend(capsys.readouterr().out.splitlines())
        return bool(lines)

    eventually(has_reported)
    question = "all 60 min ahead: does the producer write local time?"
    assert lines[0].endswith(f"refused in a minute, {question}")


def test_a_partition_that_is_added_is_read_within_ten_seconds(scene: Scene) -> None:
    """Checkpoints, one a second, measure the time; by default discovery takes five minutes."""
    options = {"bootstrap.servers": scene.pipeline.broker.bootstrap}
    admin = AdminClient({**options})  # an unnamed one is gone before its answer
    added = admin.create_partitions([NewPartitions(TRANSACTIONS, PARTITIONS + 1)])
    added[TRANSACTIONS].result(PATIENCE_S)
    before = newest_checkpoint(scene.pipeline)
    now, client = utc_now(), Producer({**options})
    value = json.dumps(payment("newcomer", now)).encode()
    client.produce(TRANSACTIONS, value, partition=PARTITIONS, timestamp=milliseconds(now))
    assert client.flush(PATIENCE_S) == 0
    eventually(lambda: "newcomer" in {tile["user_id"] for tile in scene.pipeline.tiles()})
    assert newest_checkpoint(scene.pipeline) - before <= 10 + SLACK_S


def newest_checkpoint(pipeline: Pipeline) -> int:
    return max(int(c.parent.name.removeprefix("chk-")) for c in pipeline.checkpoints())
