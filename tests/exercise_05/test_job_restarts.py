"""Killed or stopped, the job goes on where it was."""

from itertools import islice

import pytest

from exercise_05_streaming.production.events import Traffic, records
from tests.exercise_05.pipeline import NewPipeline
from tests.exercise_05.tiles_recounted import in_order, tiles
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

EVENTS = 4_000


def test_nothing_is_lost_or_counted_twice(new_pipeline: NewPipeline) -> None:
    """Killed with events in flight, then stopped, then read anew from the beginning."""
    pipeline = new_pipeline()
    traffic = records(Traffic(users=500, late=0.1, duplicates=0.2, malformed=0.05, seed=11))
    pipeline.send(islice(traffic, EVENTS))

    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.said
        eventually(lambda: bool(pipeline.checkpoints()) and bool(pipeline.tiles().values()))
        pipeline.send(islice(traffic, EVENTS))
    pipeline.send(islice(traffic, EVENTS))

    with pipeline.job() as job:
        job.wait_until_running()
        assert "/chk-" in job.said
        recounted = tiles(pipeline.events())
        eventually(lambda: in_order(pipeline.tiles().values()) == recounted)
        assert job.stop() == 0, job.said
        assert "savepoint is file:" in job.said
    pipeline.send(islice(traffic, EVENTS))

    with pipeline.job() as job:
        job.wait_until_running()
        assert "/savepoints/" in job.said
        recounted = tiles(pipeline.events())
        eventually(lambda: in_order(pipeline.tiles().values()) == recounted)


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    pipeline.send(islice(records(Traffic(seed=1)), 100))
    with pipeline.job() as job:
        job.wait_until_running()
        eventually(lambda: bool(pipeline.checkpoints()))
        assert job.stop() == 0, job.said
    pipeline.empty_services()
    pipeline.send(islice(records(Traffic(seed=2)), 100))
    with pipeline.job() as job:
        job.wait_until_running()
        assert "from the beginning" in job.said
        recounted = tiles(pipeline.events())
        eventually(lambda: in_order(pipeline.tiles().values()) == recounted)
