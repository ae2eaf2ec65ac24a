"""Killed or stopped, the job goes on where it was."""

from itertools import islice

import pytest

from tests.exercise_05.payments import traffic
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.exercise_05.tiles_recounted import in_order, tiles
from tests.waiting import eventually

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
