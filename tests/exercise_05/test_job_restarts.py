"""Killed or stopped, the job goes on where it was."""

import json
from itertools import islice

import pytest
from confluent_kafka import Producer

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming.progress import clock_ms
from exercise_05_streaming.topics import TILES
from tests.exercise_05.payments import traffic
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.exercise_05.tiles_recounted import in_order, tiles
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

EVENTS = 4_000


def wait_until_exact(pipeline: Pipeline) -> None:
    expected = tiles(pipeline.events())
    eventually(lambda: in_order(pipeline.tiles().values()) == expected)


def test_nothing_is_lost_or_counted_twice(new_pipeline: NewPipeline) -> None:
    """Killed with events in flight, then stopped, then started where it stopped."""
    pipeline = new_pipeline()
    payments = traffic(seed=11, users=500)
    pipeline.send(islice(payments, EVENTS))

    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        eventually(lambda: bool(pipeline.checkpoints()) and bool(pipeline.tiles().values()))
        pipeline.send(islice(payments, EVENTS))
    pipeline.send(islice(payments, EVENTS))

    with pipeline.job() as job:
        job.wait_until_running()
        assert "/chk-" in job.output
        wait_until_exact(pipeline)
        assert job.stop() == 0, job.output
        assert "savepoint is file:" in job.output
    emitted = len(pipeline.tiles().history())
    pipeline.send(islice(payments, 10))

    with pipeline.job() as job:
        job.wait_until_running()
        assert "/savepoints/" in job.output
        wait_until_exact(pipeline)
        assert len(pipeline.tiles().history()) - emitted <= 10, "tiles are emitted again"


def test_a_topic_that_is_made_again_is_read_from_its_beginning(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    pipeline.send(islice(traffic(seed=1), 100))
    with pipeline.job() as job:
        job.wait_until_running()
        eventually(lambda: bool(pipeline.checkpoints()))
        assert job.stop() == 0, job.output
    pipeline.empty_services()
    pipeline.send(islice(traffic(seed=2), 100))
    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        wait_until_exact(pipeline)


@pytest.mark.drills
def test_after_a_later_job_it_reads_the_log_from_its_beginning(new_pipeline: NewPipeline) -> None:
    """As after `lab run 5` between two runs with production parts."""
    pipeline = new_pipeline()
    pipeline.send(islice(traffic(seed=3), 100))
    with pipeline.job() as job:
        job.wait_until_running()
        eventually(lambda: bool(pipeline.checkpoints() and pipeline.tiles().values()))
        assert job.stop() == 0, job.output
    later = pipeline.tiles().values()[0] | {"generation": clock_ms()}
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
    producer.produce(TILES, json.dumps(later), b"later")
    assert producer.flush(PATIENCE_S) == 0
    with pipeline.job() as job:
        assert job.process.wait(PATIENCE_S) == 2
        assert "/savepoints/" in job.output
        assert "another job has begun" in job.output
    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.output
        eventually(lambda: bool(pipeline.redis.client().exists(PROGRESS_KEY)))
