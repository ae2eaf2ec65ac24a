"""Killed or stopped, the job goes on where it was, or reads the log from its beginning.

The tests of each pipeline run in their order: a job begins with what the one before has left.
"""

import json
import os
import time
from datetime import timedelta
from itertools import islice

import pytest
from confluent_kafka import Producer

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.progress import clock_ms
from exercise_05_streaming.topics import TILES
from lab.settings import utc_now
from tests.exercise_05.payments import payment, record, traffic
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

EVENTS, FEWER = 4_000, 500


@pytest.fixture(scope="module")
def pipeline(new_pipeline: NewPipeline) -> Pipeline:
    return new_pipeline()


def run_and_stop(pipeline: Pipeline, *messages: str) -> None:
    """Run a job that prints these, until its tiles are exact; stop it with a savepoint.

    Flink makes no savepoint before every task runs, which a checkpoint of this job shows.
    """
    earlier = set(pipeline.checkpoints())
    with pipeline.job() as job:
        job.wait_until_running()
        for message in messages:
            assert message in job.output
        pipeline.wait_until_exact()
        eventually(lambda: set(pipeline.checkpoints()) - earlier)
        assert job.stop() == 0, job.output
        assert "savepoint is file:" in job.output


def test_nothing_is_lost_or_counted_twice(pipeline: Pipeline) -> None:
    """Killed with events in flight, then stopped, then started where it stopped."""
    payments = traffic(seed=11, users=500)
    pipeline.send(islice(payments, EVENTS))
    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        eventually(lambda: bool(pipeline.checkpoints()) and bool(pipeline.tiles()))
        pipeline.send(islice(payments, EVENTS))
    pipeline.send(islice(payments, EVENTS))
    run_and_stop(pipeline, "/chk-")
    emitted = len(pipeline.versions_of_tiles())
    pipeline.send(islice(payments, 10))
    run_and_stop(pipeline, "/savepoints/")
    assert len(pipeline.versions_of_tiles()) - emitted <= 10, "tiles are emitted again"


def test_with_tiles_that_are_created_again_the_log_is_read_again(pipeline: Pipeline) -> None:
    assert pipeline.checkpoints()
    pipeline.create_again(TILES)
    pipeline.send(islice(traffic(seed=2), 100))
    run_and_stop(pipeline, "from the beginning")


# ---- By `make drills`, on a pipeline of their own ------------------------------------------------


@pytest.fixture(scope="module")
def stopped(new_pipeline: NewPipeline) -> Pipeline:
    """Return a pipeline whose job was stopped with a savepoint."""
    pipeline = new_pipeline()
    pipeline.send(islice(traffic(seed=4), FEWER))
    run_and_stop(pipeline, "from the beginning")
    return pipeline


@pytest.mark.drills
def test_a_stop_just_under_the_limit_is_caught_up_with(stopped: Pipeline) -> None:
    now = time.time()
    for point in stopped.checkpoints():
        os.utime(point, (now - 44 * 60,) * 2)
    stopped.send(islice(traffic(seed=4), FEWER))  # copies, which the state must know
    stopped.send(islice(traffic(seed=3), FEWER))
    run_and_stop(stopped, "/savepoints/")


@pytest.mark.drills
@pytest.mark.parametrize(
    "changed", [{"state_backend": "rocksdb"}, {"allowed_lateness": timedelta(minutes=14)}]
)
def test_another_definition_or_state_backend_reads_the_log_again(
    stopped: Pipeline, changed: dict[str, object]
) -> None:
    stopped.settings = changed
    run_and_stop(stopped, "another definition or state backend", "from the beginning")


@pytest.mark.drills
def test_after_a_later_job_it_reads_the_log_from_its_beginning(stopped: Pipeline) -> None:
    """As after `lab run 5` between two runs with production parts."""
    later = stopped.tiles()[0] | {"generation": clock_ms()}
    producer = Producer({"bootstrap.servers": stopped.broker.bootstrap})
    producer.produce(TILES, json.dumps(later), b"later")
    assert producer.flush(PATIENCE_S) == 0
    with stopped.job() as job:
        assert job.wait() == 2
        assert "/savepoints/" in job.output
        assert "another job has begun" in job.output
    stopped.redis.client().delete(PROGRESS_KEY)
    with stopped.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        eventually(lambda: bool(stopped.redis.client().exists(PROGRESS_KEY)))
        stopped.set_option(TILES, "max.message.bytes", "1")
        stopped.send([record(payment("ann", utc_now()), utc_now())])
        assert "RecordTooLargeException" in job.restart_report()


@pytest.mark.drills
def test_a_checkpoint_that_cannot_be_restored_is_an_error(stopped: Pipeline) -> None:
    assert stopped.checkpoints()
    for point in stopped.checkpoints():
        point.write_bytes(b"not a checkpoint")
    with stopped.job() as job:
        assert job.wait() == 2, job.output
        assert "error: " in job.output
        assert "with --fresh the log is read from its beginning" in job.output
        assert "Traceback" not in job.output
