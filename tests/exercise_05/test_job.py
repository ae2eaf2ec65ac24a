"""The job's output for a log of every kind of event: tiles and dead letters, exactly."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from confluent_kafka import Message

from lab.settings import settings, utc_now
from tests.exercise_05.payments import Record, milliseconds, payment, record, traffic
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.exercise_05.tiles_recounted import accepted, in_order, judged, tiles
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

EVENTS = 3_000
HOUR = timedelta(hours=1)


@dataclass
class Outcome:
    """The content of the log, and the job's output."""

    pipeline: Pipeline
    messages: list[Message]
    tiles: list[Any]
    dead: list[Any]
    versions: list[Any]


def odd_events(now: datetime) -> Iterator[bytes]:
    """Yield messages that are each easily parsed wrongly."""
    right = payment("odd", now)
    late, ahead = settings.allowed_lateness, settings.allowed_ahead
    millisecond = timedelta(milliseconds=1)
    texts = (
        "", "{}", "[1]", "5", "null", "nope", '{"user_id": "odd"',
    )  # fmt: skip
    yield from (text.encode() for text in texts)
    yield b"\xff\xfe"
    whole = json.dumps(right)
    another = (whole, f", {whole}", f"], [{whole}", f', "more": {whole}')
    for behind in (" x", " ", "\n", "}", "]", *another):
        yield (whole + behind).encode()
    yield whole.replace("{", '{"amount": 2, "user_id": null, ').encode()
    yield whole.replace("}", ', "amount": 2}').encode()
    for inside in ("{}", '"}"', '{"deep": [1]}', "NaN", "01", "1,"):
        yield whole.replace("{", f'{{"more": {inside}, ').encode()
    amounts = "0 0.005 1.005 1.00499999999999999999 1e3 1E-3 99999999999999.99 1e16 1e400 -1 -0.001"
    for amount in (*amounts.split(), "NaN", "Infinity", "true", '"12.5"', '"x"', "null", "{}"):
        yield json.dumps(right).replace(": 1,", f": {amount},").encode()
    for event_time in (
        "2026-02-30T00:00:00", "2026-13-01T00:00:00", "yesterday", 5, None,
        now.strftime("%Y-%m-%dT%H:%M:%S"),
        now.strftime("%Y-%m-%d %H:%M:%S.%f"),
        now.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        now.strftime("%Y-%m-%dT%H:%M:%S+02:00"),
        (now - HOUR / 10).strftime("%Y-%m-%dT%H:%M:59.9999Z"),
        *(moment.isoformat(timespec="milliseconds") for moment in (
            now - late, now - late - millisecond, now + ahead, now + ahead + millisecond,
        )),
    ):  # fmt: skip
        yield json.dumps({**right, "event_time": event_time}).encode()
    for change in (
        {"user_id": None},
        {"user_id": ["odd"]},
        {"user_id": ""},
        {"user_id": 7},
        {"user_id": "ünï '\"\\"},
    ):
        yield json.dumps({**right, **change}).encode()
    for is_approved in (None, False, "no", 0):
        yield json.dumps({**right, "is_approved": is_approved}).encode()
    twice = {**right, "transaction_id": "twice"}
    yield from (json.dumps(twice).encode() for _ in range(2))
    yield from (json.dumps(right).encode() for _ in range(2))  # without an id: two payments


def old_events(now: datetime) -> Iterator[Record]:
    """Yield a replay: records as old as their events, after others that are new."""
    for number in range(20):
        moment = now - timedelta(days=40) + number * timedelta(minutes=7)
        yield record(payment("old", moment, amount=number / 8), moment)


@pytest.fixture(scope="module")
def outcome(new_pipeline: NewPipeline) -> Outcome:
    pipeline, now = new_pipeline(), utc_now()
    pipeline.send(islice(traffic(seed=5, users=200, late_by_s=600), EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        pipeline.send(("odd", text, milliseconds(now)) for text in odd_events(now))
        pipeline.send(old_events(now))
        messages = pipeline.events()
        expected = tiles(messages)
        refused = len(messages) - len(accepted(messages))  # duplicates as well

        def is_settled() -> bool:
            job.process.poll()
            written = in_order(pipeline.tiles().values())
            return written == expected and len(pipeline.dead_letters().values()) == refused

        try:
            eventually(is_settled, 90)
        except AssertionError:
            print(job.output)  # the tests report the differences
        assert job.stop() == 0, job.output
    history = pipeline.tiles().history()
    dead = pipeline.dead_letters().values()
    newest = in_order(dict(history).values())
    return Outcome(pipeline, messages, newest, dead, history)


def test_tiles_are_those_of_a_recount(outcome: Outcome) -> None:
    assert outcome.tiles == tiles(outcome.messages)


def test_what_is_not_accepted_is_told_with_its_reason_and_place(outcome: Outcome) -> None:
    expected = {
        (message.partition(), message.offset()): (reason, message.timestamp()[1])
        for message in outcome.messages
        if (reason := judged(message)[0])
    }
    found = {
        (dead["partition"], dead["offset"]): (dead["reason"], dead["record_time"])
        for dead in outcome.dead
        if dead["reason"] != "duplicate"
    }
    assert found == expected
    assert set(Counter(dead["reason"] for dead in outcome.dead)) == {
        "duplicate", "not_json", "missing_user", "missing_amount", "bad_amount", "bad_time",
        "too_late", "too_far_ahead",
    }  # fmt: skip


def test_a_dead_letter_has_the_message(outcome: Outcome) -> None:
    values = {
        (m.partition(), m.offset()): (m.value() or b"").decode(errors="replace")
        for m in outcome.messages
    }
    assert all(dead["value"] == values[dead["partition"], dead["offset"]] for dead in outcome.dead)


def test_a_tile_only_grows(outcome: Outcome) -> None:
    counts: dict[bytes, int] = {}
    for key, tile in outcome.versions:
        assert tile["transaction_count"] > counts.get(key, 0)
        counts[key] = tile["transaction_count"]


def test_a_replay_of_old_events_counts_after_newer_ones(outcome: Outcome) -> None:
    old = [tile for tile in outcome.tiles if tile["user_id"] == "old"]
    assert sum(tile["transaction_count"] for tile in old) == 20
    newest = max(tile["tile_start"] for tile in old)
    assert newest < (utc_now() - timedelta(days=39)).timestamp()
