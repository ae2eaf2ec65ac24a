"""The job after a stall, and with a state that has expired: exact, or it ends."""

import signal
from datetime import timedelta
from itertools import islice
from threading import Event

import psutil
import pytest

from exercise_05_streaming.topics import TRANSACTIONS
from lab.settings import utc_now
from tests.exercise_05.payments import payment, record, traffic
from tests.exercise_05.pipeline import Job, NewPipeline, Pipeline
from tests.exercise_05.tiles_recomputed import wait_until_exact
from tests.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.drills]

EVENTS = 500
MAX_LAG_S, STALL_S = 8, 12
LATENESS, TTL = timedelta(seconds=12), timedelta(seconds=40)
SECOND = timedelta(seconds=1)
SHORT = {"allowed_lateness": LATENESS, "allowed_ahead": SECOND, "max_lag": 20 * SECOND}


def stall(job: Job, seconds: float) -> None:
    """Freeze the job's JVM, in which Flink runs."""
    (jvm,) = psutil.Process(job.process.pid).children(recursive=True)
    jvm.send_signal(signal.SIGSTOP)
    Event().wait(seconds)
    jvm.send_signal(signal.SIGCONT)


def test_a_stall_beyond_the_limit_ends_the_job_and_the_next_one_reads_the_log(
    new_pipeline: NewPipeline,
) -> None:
    pipeline = new_pipeline()
    pipeline.settings["max_lag"] = timedelta(seconds=MAX_LAG_S)
    pipeline.send(islice(traffic(seed=1), EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        wait_until_exact(pipeline)
        eventually(lambda: bool(pipeline.checkpoints()))
        Event().wait(MAX_LAG_S / 2)  # it commits, and its lag is known
        pipeline.send([record(payment("late", utc_now()), utc_now())])
        stall(job, STALL_S)
        eventually(lambda: job.process.poll() is not None)
        assert job.process.returncode == 2, job.output
        assert "behind for longer than its state remembers" in job.output
        assert "start it again: it reads the log from its beginning" in job.output
    assert not pipeline.checkpoints()
    pipeline.settings.clear()
    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        wait_until_exact(pipeline)


@pytest.mark.parametrize("times", ["LogAppendTime", "CreateTime"])
def test_state_expires_and_no_payment_counts_twice_or_is_lost(
    new_pipeline: NewPipeline, times: str
) -> None:
    """Flink forgets ids and tiles when the next payment, or a copy, is too late anyway.

    By a producer's time, as of a mirror that was down, one is never too late.
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
        eventually(lambda: utc_now() > start + LATENESS + TTL)
        pipeline.send([record(first, utc_now()), record(third, start)])
        late = 2 if times == "LogAppendTime" else 1
        eventually(lambda: reasons(pipeline) == ["too_late"] * late)
        eventually(lambda: counts(pipeline) == [4 - late])


def counts(pipeline: Pipeline) -> list[int]:
    return [tile["transaction_count"] for tile in pipeline.tiles().values()]


def reasons(pipeline: Pipeline) -> list[str]:
    return [letter["reason"] for letter in pipeline.dead_letters().values()]
