"""The job after a stall, and with a state that has expired: exact, or it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from threading import Event

import pytest
from confluent_kafka import TopicPartition

from exercise_05_streaming.topics import TRANSACTIONS
from lab.settings import utc_now
from tests.exercise_05.payments import milliseconds, payment, record, traffic
from tests.exercise_05.pipeline import Job, NewPipeline, Pipeline
from tests.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.kafka, pytest.mark.drills]

EVENTS = 500
MAX_LAG_S, STALL_S = 8, 12
LATENESS, TTL = timedelta(seconds=12), timedelta(seconds=40)
KAFKA, PRODUCER = "LogAppendTime", "CreateTime"
SECOND = timedelta(seconds=1)
SHORT = {"allowed_lateness": LATENESS, "allowed_ahead": SECOND, "max_lag": 20 * SECOND}


@contextmanager
def frozen(job: Job) -> Iterator[None]:
    """Freeze Flink for the duration of the block."""
    jvm = job.jvm()
    jvm.suspend()
    try:
        yield
    finally:
        jvm.resume()


def test_a_stall_beyond_the_limit_ends_the_job_and_the_next_one_reads_the_log(
    new_pipeline: NewPipeline,
) -> None:
    pipeline = new_pipeline()
    pipeline.settings["max_lag"] = timedelta(seconds=MAX_LAG_S)
    pipeline.send(islice(traffic(seed=1), EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        pipeline.wait_until_exact()
        eventually(lambda: bool(pipeline.checkpoints()))
        Event().wait(MAX_LAG_S / 2)  # it commits, and its lag is known
        pipeline.send([record(payment("late", utc_now()), utc_now())])
        with frozen(job):
            Event().wait(STALL_S)
        assert job.wait() == 2, job.output
        assert "behind for longer than its state remembers" in job.output
        assert "start it again: it reads the log from its beginning" in job.output
    assert not pipeline.checkpoints()
    pipeline.settings.clear()
    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        pipeline.wait_until_exact()


@pytest.mark.parametrize(
    ("times", "later", "refused", "count"),
    [
        (KAFKA, KAFKA, ["too_late"] * 2, 2),
        (PRODUCER, PRODUCER, ["too_late"], 3),
        (KAFKA, PRODUCER, ["time_of_producer"] * 2, 2),
    ],
)
def test_state_expires_and_no_payment_counts_twice_or_is_lost(
    new_pipeline: NewPipeline, times: str, later: str, refused: list[str], count: int
) -> None:
    """Flink forgets ids and tiles when the next payment, or a copy, is too late anyway.

    By a producer's time, as of a mirror that was down, one is never too late: it counts where all
    have such times, and not in a log whose option was changed meanwhile.
    """
    pipeline = new_pipeline()
    pipeline.set_option(TRANSACTIONS, "message.timestamp.type", times)
    pipeline.settings |= SHORT | {"tile_s": 2}  # with it, the TTL is 35 s
    with pipeline.job("--fresh") as job:
        job.wait_until_running()
        start = utc_now()
        first, second, third = (payment("ann", start, transaction_id=i) for i in "123")
        pipeline.send([record(first, start)])
        eventually(lambda: counts(pipeline) == [1])
        eventually(lambda: utc_now() > start + LATENESS / 2)
        pipeline.send([record(second, utc_now())])  # on time, in the same tile
        eventually(lambda: counts(pipeline) == [2])
        pipeline.set_option(TRANSACTIONS, "message.timestamp.type", later)
        eventually(lambda: utc_now() > start + LATENESS + TTL)
        pipeline.send([record(first, utc_now()), record(third, start)])
        eventually(lambda: reasons(pipeline) == refused)
        eventually(lambda: counts(pipeline) == [count])


def test_of_records_that_expire_in_a_stall_the_job_counts_all_that_are_left(
    new_pipeline: NewPipeline,
) -> None:
    """Flink's source would skip to the newest record; the first of these is on its way already."""
    pipeline = new_pipeline()

    def pay(*users: str) -> None:
        events = (payment(user, utc_now()) for user in users)
        pipeline.send(
            ("one partition", json.dumps(event), milliseconds(utc_now())) for event in events
        )

    with pipeline.job() as job:
        job.wait_until_running()
        pay("before")
        pipeline.wait_until_exact()
        with frozen(job):
            pay("fetched")
            pay("expired", "left", "newest")
            left = pipeline.events()[-2]
            place = TopicPartition(TRANSACTIONS, left.partition() or 0, left.offset() or 0)
            admin = pipeline.admin()  # an unnamed one is gone before its answer
            for deleted in admin.delete_records([place]).values():
                deleted.result(PATIENCE_S)
        pay("after")
        eventually(lambda: users(pipeline) >= {"left", "newest", "after"})


def users(pipeline: Pipeline) -> set[str]:
    return {tile["user_id"] for tile in pipeline.tiles()}


def counts(pipeline: Pipeline) -> list[int]:
    return [tile["transaction_count"] for tile in pipeline.tiles()]


def reasons(pipeline: Pipeline) -> list[str]:
    return [letter["reason"] for letter in pipeline.dead_letters()]
