"""The solution's job on four hours of log with hostile records: it counts as a recomputation."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import polars as pl
import pytest

from exercise_05_streaming.topics import TILES
from exercise_05_streaming.verify import accepted_events, read_log, recompute_tiles
from lab.settings import utc_now
from tests.exercise_05.payments import Record, payment, record
from tests.exercise_05.pipeline import Job, NewPipeline, Pipeline
from tests.exercise_05.strangers import GOOD_USERS, send_strangers
from tests.exercise_05.tiles_by_hand import Event, tile_of
from tests.settings_in_force import settings_in_force
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

EVENTS, SPAN, USERS = 60_000, timedelta(hours=4), 100
LATE_SHARE, LATE_S = 0.1, 60
MINUTE = timedelta(minutes=1)
LOOK_BACK = timedelta(hours=25, minutes=15)  # 24 h, the running one of them, and the lateness
# Its rows go nowhere, since Feast has no registry here.
EXPLAIN_AND_RUN = """
from exercise_05_streaming import flink_streaming_features as job

def explained(t_env, writer):
    print(t_env.explain_sql("INSERT INTO user_tiles SELECT * FROM tiles"))
    write_to_redis(t_env, writer)

write_to_redis, job.write_to_redis = job.write_to_redis, explained
now = job.clock_ms()
progress = job.Progress(now, job.clock_ms)
job.run_features(job.Writer(now, job.TileStore(), lambda rows, now_ms: None, progress))
"""


@dataclass
class Scene:
    """The running job, the good events that were sent, the log's tiles, and those of the job."""

    pipeline: Pipeline
    job: Job
    sent: list[Event]
    recomputed: list[Any]
    tiles: list[Any]


def around_the_look_back() -> Iterator[Record]:
    """Yield a payment before the oldest record that a start reads, and one after it."""
    for user, age in (("before", LOOK_BACK + MINUTE), ("after", LOOK_BACK - 10 * MINUTE)):
        yield record(payment(user, utc_now() - age), utc_now() - age)


def four_hours(seed: int) -> Iterator[Record]:
    """Events of the last four hours, each recorded then; one in ten up to a minute late."""
    random, start = Random(seed), utc_now() - SPAN
    for number in range(EVENTS):
        recorded = start + number * SPAN / EVENTS
        late_by = timedelta(seconds=random.uniform(0, LATE_S) * (random.random() < LATE_SHARE))
        user = f"user_{random.randrange(USERS)}"
        yield record(payment(user, recorded - late_by, amount=random.randint(1, 99)), recorded)


@pytest.fixture(scope="module")
def scene(new_pipeline: NewPipeline) -> Iterator[Scene]:
    pipeline = new_pipeline()
    pipeline.command = [sys.executable, "-c", EXPLAIN_AND_RUN]
    pipeline.send(around_the_look_back())
    pipeline.send(four_hours(seed=7))
    sent = send_strangers(pipeline, seed=26, now=utc_now(), floor="solution")
    with settings_in_force(kafka_port=pipeline.broker.port):
        accepted = accepted_events(read_log())
    recomputed = recompute_tiles(accepted.filter(pl.col("user_id") != "before")).rows(named=True)
    with pipeline.job() as job:
        job.wait_until_running()
        try:
            eventually(lambda: job.process.poll() is not None or pipeline.tiles() == recomputed)
        except AssertionError:
            print(job.output)  # the tests show what differs
        yield Scene(pipeline, job, sent, recomputed, pipeline.tiles())


def test_every_good_event_counts(scene: Scene) -> None:
    good = {f"good_{number}" for number in range(GOOD_USERS)} | {"committed"}
    assert {user: [t for t in scene.tiles if t["user_id"] == user] for user in good} == {
        user: [tile_of(event for event in scene.sent if event.user == user)] for user in good
    }


def test_only_what_is_committed_and_in_the_look_back_counts(scene: Scene) -> None:
    users = {tile["user_id"] for tile in scene.tiles}
    assert "after" in users
    assert not users & {"aborted", "before"}


def test_a_reread_counts_each_event_of_four_hours(scene: Scene) -> None:
    regular = [tile for tile in scene.tiles if tile["user_id"].startswith("user_")]
    assert sum(tile["transaction_count"] for tile in regular) == EVENTS


def test_job_and_recomputation_agree_on_every_record(scene: Scene) -> None:
    assert scene.tiles == scene.recomputed


def test_the_graded_job_has_no_watermark(scene: Scene) -> None:
    assert "GlobalGroupAggregate" in scene.job.output
    assert "watermark" not in scene.job.output.lower()


def test_no_record_stops_the_job_and_its_restart_prints_the_first_cause(scene: Scene) -> None:
    """This test is the last of the file: from it on the topic of tiles refuses every record."""
    assert scene.job.process.poll() is None, scene.job.output
    assert "Skipped" not in scene.job.output
    scene.pipeline.set_option(TILES, "max.message.bytes", "1")
    scene.pipeline.send([record(payment("ann", utc_now()), utc_now())])
    line = scene.job.restart_report()
    assert "RecordTooLargeException: The request included a message larger" in line
    assert line.endswith(f"less {scene.pipeline.folder}/flink/log/*")
