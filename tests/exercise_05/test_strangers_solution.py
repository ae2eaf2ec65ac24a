"""Hostile records stop no job: the solution counts the same as its recomputation."""

import sys
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from exercise_05_streaming.verify import accepted_events, read_log, recompute_tiles
from exercise_05_streaming.windows import TILE
from lab.settings import utc_now
from tests.exercise_05.flink_json import as_flink_reads
from tests.exercise_05.pipeline import NewPipeline
from tests.exercise_05.strangers import GOOD_USERS, send_strangers
from tests.exercise_05.tiles_by_hand import Event, tile_of
from tests.settings_in_force import settings_in_force
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

WITHOUT_REDIS = """
from exercise_05_streaming.flink_streaming_features import *
now = clock_ms()
run_features(Writer(now, TileStore(), lambda rows, now_ms: None, Progress(now, clock_ms)))
"""


@dataclass
class Outcome:
    """The good events that were sent, the log's tiles, and those of the job."""

    sent: list[Event]
    recomputed: list[Any]
    tiles: list[Any]


@pytest.fixture(scope="module")
def outcome(new_pipeline: NewPipeline) -> Outcome:
    pipeline = new_pipeline()
    pipeline.command = [sys.executable, "-c", WITHOUT_REDIS]
    sent = send_strangers(pipeline.broker, seed=26, now=utc_now(), floor="solution")
    with settings_in_force(kafka_port=pipeline.broker.port):
        recomputed = recompute_tiles(accepted_events(as_flink_reads(read_log())))

    def tiles() -> pl.DataFrame:
        rows = [[tile[name] for name in TILE] for tile in pipeline.tiles().values()]
        return pl.DataFrame(rows, TILE, orient="row").sort("user_id", "tile_start")

    with pipeline.job() as job:
        job.wait_until_running()
        try:
            eventually(lambda: job.process.poll() is not None or tiles().equals(recomputed), 90)
        except AssertionError:
            print(job.output)  # the tests show what differs
        assert job.process.poll() is None, job.output
        assert "Skipped" not in job.output
    return Outcome(sent, recomputed.rows(named=True), tiles().rows(named=True))


def test_every_good_event_counts(outcome: Outcome) -> None:
    good = {f"good_{number}" for number in range(GOOD_USERS)} | {"committed"}
    assert {user: [t for t in outcome.tiles if t["user_id"] == user] for user in good} == {
        user: [tile_of(event for event in outcome.sent if event.user == user)] for user in good
    }


def test_only_what_is_committed_counts(outcome: Outcome) -> None:
    assert "aborted" not in {tile["user_id"] for tile in outcome.tiles}


def test_job_and_recomputation_agree_on_every_record(outcome: Outcome) -> None:
    assert outcome.tiles == outcome.recomputed
