"""The solution's job reads four hours of log: no watermark, so every reading counts the same."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from exercise_05_streaming.topics import TILES
from lab.settings import utc_now
from tests.exercise_05.payments import Record, payment, record
from tests.exercise_05.pipeline import JOB, NewPipeline
from tests.exercise_05.tiles_recounted import in_order, tiles
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

EVENTS, SPAN, USERS = 60_000, timedelta(hours=4), 100
LATE_SHARE, LATE_S = 0.1, 60
MINUTE = timedelta(minutes=1)
LOOK_BACK = timedelta(hours=25, minutes=15)  # 24 h, the running one of them, and the lateness
RUN = """
from exercise_05_streaming.flink_streaming_features import *
now = clock_ms()
run_features(Writer(now, TileStore(), lambda rows, now_ms: None, Progress(now, clock_ms)))
"""
EXPLAIN = """
import exercise_05_streaming.flink_streaming_features as solution
insert = "INSERT INTO user_tiles SELECT * FROM tiles"
solution.write_to_redis = lambda t_env, writer: print(t_env.explain_sql(insert))
solution.run_features(solution.Writer(0, None, None, None))
"""
SOLUTION = [sys.executable, "-c", RUN]  # its rows go nowhere, since Feast has no registry here


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


def test_a_reread_of_four_hours_equals_a_recomputation(new_pipeline: NewPipeline) -> None:
    """Of the records before, it reads those of the longest window and of their lateness."""
    pipeline = new_pipeline()
    pipeline.command = SOLUTION
    pipeline.send(around_the_look_back())
    pipeline.send(four_hours(seed=7))
    recomputed = [tile for tile in tiles(pipeline.events()) if tile["user_id"] != "before"]
    assert sum(tile["transaction_count"] for tile in recomputed) == EVENTS + 1
    with pipeline.job() as job:
        job.wait_until_running()
        eventually(lambda: in_order(pipeline.tiles().values()) == recomputed)


def test_the_graded_job_has_no_watermark(new_pipeline: NewPipeline) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXPLAIN],
        env=new_pipeline().env(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert "GlobalGroupAggregate" in done.stdout
    assert "watermark" not in done.stdout.lower()


@pytest.mark.parametrize(
    "command",
    [SOLUTION, pytest.param(JOB, marks=pytest.mark.drills)],
    ids=["solution", "production"],
)
def test_a_job_that_restarts_prints_the_first_cause(
    new_pipeline: NewPipeline, command: list[str]
) -> None:
    pipeline = new_pipeline()
    pipeline.command = command
    accept_no_record(pipeline.broker.bootstrap)
    pipeline.send([record(payment("ann", utc_now()), utc_now())])
    with pipeline.job() as job:
        job.wait_until_running()
        eventually(lambda: "Flink restarts the job: " in job.output, 60)
        (line,) = [line for line in job.output.splitlines() if "Flink restarts the job" in line]
        assert "RecordTooLargeException: The request included a message larger" in line
        assert line.endswith(f"less {pipeline.folder}/flink/log/*")


def accept_no_record(bootstrap: str) -> None:
    """Make the topic of tiles refuse every record."""
    topic = ConfigResource(ConfigResource.Type.TOPIC, TILES)
    topic.add_incremental_config(
        ConfigEntry("max.message.bytes", "1", incremental_operation=AlterConfigOpType.SET)
    )
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([topic])[topic].result(PATIENCE_S)
