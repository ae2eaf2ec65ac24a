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
from exercise_05_streaming.production.verify import accepted_events, differences, read_log
from exercise_05_streaming.topics import PARTITIONS, TRANSACTIONS
from exercise_05_streaming.verify import recompute_tiles
from lab.settings import settings, utc_now
from tests.exercise_05.payments import milliseconds, payment, record, traffic
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.exercise_05.strangers import GOOD_USERS, send_strangers
from tests.exercise_05.tiles_by_hand import Event, tile_of
from tests.exercise_05.tiles_recomputed import accepted, classify, in_order, tiles
from tests.settings_in_force import settings_in_force
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

EVENTS, OLD_EVENTS, MOST_CHARACTERS = 1_000, 20, 10_000
MILLISECOND = timedelta(milliseconds=1)
IDS = ("1001", "1001", "", "", " ", None, 7, "7", ["7"])
REASONS = {"no_value", "not_json", "missing_user", "bad_user", "missing_amount", "bad_amount"}
REASONS |= {"bad_time", "too_late", "too_far_ahead"}
SLACK_S = 5  # in which the test reads the tiles
COUNTED = 7  # of a user: the copies of 1001 and of 7 are none


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


def send_edges(pipeline: Pipeline, now: datetime) -> None:
    """Send payments at, and one millisecond beyond, the limits of lateness."""
    late, ahead = now - settings.allowed_lateness, now + settings.allowed_ahead
    times = (late, late - MILLISECOND, ahead, ahead + MILLISECOND)
    pipeline.send(record(payment("edge", time), now) for time in times)


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
    dead = len(messages) - len(accepted(messages))

    def is_settled() -> bool:
        assert job.process.poll() is None, job.output
        made = in_order(pipeline.tiles().values())
        return made == tiles(messages) and len(pipeline.dead_letters().values()) == dead

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
    made = scene.pipeline.tiles().values()
    assert {user: [tile for tile in made if tile["user_id"] == user] for user in good} == {
        user: [tile_of(event for event in scene.sent if event.user == user)] for user in good
    }


def test_what_does_not_count_is_a_dead_letter_with_its_place(scene: Scene) -> None:
    letters = scene.pipeline.dead_letters().values()
    found = {(dead["partition"], dead["offset"]): dead["reason"] for dead in letters}
    reasons = {(m.partition(), m.offset()): classify(m)[0] for m in scene.messages}
    refused = {place: reason for place, reason in reasons.items() if reason}
    copies = {place for place, reason in found.items() if reason == "duplicate"}
    assert {place: found[place] for place in found.keys() - copies} == refused
    assert len(accepted(scene.messages)) + len(refused) + len(copies) == len(scene.messages)
    assert set(refused.values()) == REASONS


def test_a_dead_letter_has_the_message_and_its_time(scene: Scene) -> None:
    """Bytes that are no text are replaced, and a long message is cut."""
    sent = {(message.partition(), message.offset()): message for message in scene.messages}
    for dead in scene.pipeline.dead_letters().values():
        message = sent[dead["partition"], dead["offset"]]
        assert dead["record_time"] == message.timestamp()[1]
        with suppress(UnicodeDecodeError):
            text = (message.value() or b"").decode()
            assert (dead["value"] or "") == text or len(text) > MOST_CHARACTERS


def test_a_tile_only_grows(scene: Scene) -> None:
    counts: dict[bytes, int] = {}
    for key, tile in scene.pipeline.tiles().history():
        assert tile["transaction_count"] > counts.get(key, 0)
        counts[key] = tile["transaction_count"]


def test_a_replay_of_old_events_counts_after_newer_ones(scene: Scene) -> None:
    old = [tile for tile in scene.pipeline.tiles().values() if tile["user_id"] == "old"]
    assert sum(tile["transaction_count"] for tile in old) == OLD_EVENTS


def test_job_and_recomputations_agree(scene: Scene) -> None:
    made = in_order(scene.pipeline.tiles().values())
    assert made == tiles(scene.messages)
    assert made == recompute_tiles(accepted_events(read_log())).rows(named=True)


def test_redis_equals_a_recomputation(scene: Scene) -> None:
    eventually(lambda: not differences())


def test_ids_are_per_user_and_a_blank_one_is_none(scene: Scene) -> None:
    counts: Counter[str] = Counter()
    for tile in scene.pipeline.tiles().values():
        counts[tile["user_id"]] += tile["transaction_count"]
    assert [counts[user] for user in ("till_a", "till_b", "repaired")] == [COUNTED, COUNTED, 1]


def test_refused_events_are_reported(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = Counter(dead["reason"] for dead in scene.pipeline.dead_letters().values())
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
    eventually(lambda: "newcomer" in {tile["user_id"] for tile in scene.pipeline.tiles().values()})
    assert newest_checkpoint(scene.pipeline) - before <= 10 + SLACK_S


def newest_checkpoint(pipeline: Pipeline) -> int:
    return max(int(c.parent.name.removeprefix("chk-")) for c in pipeline.checkpoints())
