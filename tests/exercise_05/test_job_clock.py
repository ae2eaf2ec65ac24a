"""The job after a stall, a long stop, and a change of its definition: exact, or it ends."""

import os
import signal
import time
from datetime import timedelta
from itertools import islice
from threading import Event

import psutil
import pytest

from lab.settings import utc_now
from tests.exercise_05.payments import payment, record, traffic
from tests.exercise_05.pipeline import Job, NewPipeline, Pipeline
from tests.exercise_05.tiles_recounted import in_order, tiles
from tests.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.drills]

EVENTS = 500
MAX_LAG_S, STALL_S = 8, 12
LATENESS, TTL = timedelta(seconds=12), timedelta(seconds=40)
SECOND = timedelta(seconds=1)
SHORT = {"allowed_lateness": LATENESS, "allowed_ahead": SECOND, "max_lag": 20 * SECOND}


def wait_until_exact(pipeline: Pipeline) -> None:
    expected = tiles(pipeline.events())
    eventually(lambda: in_order(pipeline.tiles().values()) == expected)


def wait_for_checkpoint(pipeline: Pipeline) -> None:
    eventually(lambda: bool(pipeline.checkpoints()))


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
        wait_for_checkpoint(pipeline)
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


def test_a_stop_just_under_the_limit_is_caught_up_with(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    sent = list(islice(traffic(seed=2), EVENTS))
    pipeline.send(sent)
    with pipeline.job() as job:
        job.wait_until_running()
        wait_until_exact(pipeline)
        assert job.stop() == 0, job.output
    now = time.time()
    for point in pipeline.checkpoints():
        os.utime(point, (now - 44 * 60,) * 2)
    pipeline.send(sent[-100:])  # copies, which the state must know
    pipeline.send(islice(traffic(seed=3), EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        assert "/savepoints/" in job.output
        wait_until_exact(pipeline)
        assert job.stop() == 0, job.output


def run_and_stop(pipeline: Pipeline, seed: int) -> None:
    """Run a job until its tiles are exact, and stop it with a savepoint."""
    pipeline.send(islice(traffic(seed=seed), EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        wait_until_exact(pipeline)
        assert job.stop() == 0, job.output


@pytest.mark.parametrize(
    "changed", [{"state_backend": "rocksdb"}, {"allowed_lateness": timedelta(minutes=14)}]
)
def test_another_definition_or_state_backend_reads_the_log_again(
    new_pipeline: NewPipeline, changed: dict[str, object]
) -> None:
    pipeline = new_pipeline()
    run_and_stop(pipeline, seed=4)
    pipeline.settings |= changed
    pipeline.send(islice(traffic(seed=5), EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        assert "another definition or state backend" in job.output
        assert "from the beginning" in job.output
        wait_until_exact(pipeline)


def test_a_checkpoint_that_cannot_be_restored_is_an_error(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    run_and_stop(pipeline, seed=6)
    for point in pipeline.checkpoints():
        point.write_bytes(b"not a checkpoint")
    with pipeline.job() as job:
        eventually(lambda: job.process.poll() is not None)
        assert job.process.returncode == 2, job.output
        assert "error: " in job.output
        assert "with --fresh the log is read from its beginning" in job.output
        assert "Traceback" not in job.output


def test_state_expires_and_no_payment_counts_twice_or_is_lost(new_pipeline: NewPipeline) -> None:
    """Flink forgets ids and tiles when the next payment, or a copy, is too late anyway."""
    pipeline = new_pipeline()
    pipeline.settings |= SHORT | {"tile_s": 2}  # with it, the TTL is 35 s
    with pipeline.job("--fresh") as job:
        job.wait_until_running()
        start = utc_now()
        first = payment("ann", start, transaction_id="first")
        second = payment("ann", start, transaction_id="second")
        pipeline.send([record(first, start)])
        eventually(lambda: counts(pipeline) == [1])
        eventually(lambda: utc_now() > start + LATENESS - SECOND)
        pipeline.send([record(second, start + LATENESS)])  # on time, in the same tile
        eventually(lambda: counts(pipeline) == [2])
        eventually(lambda: utc_now() > start + TTL)
        pipeline.send([record(first, utc_now())])
        eventually(lambda: reasons(pipeline) == ["too_late"])
        assert counts(pipeline) == [2]


def counts(pipeline: Pipeline) -> list[int]:
    return [tile["transaction_count"] for tile in pipeline.tiles().values()]


def reasons(pipeline: Pipeline) -> list[str]:
    return [letter["reason"] for letter in pipeline.dead_letters().values()]
