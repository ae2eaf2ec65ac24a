"""State outlives what may still be accepted, by the clock of the job."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from exercise_05_streaming.production.checkpoints import resume_point
from exercise_05_streaming.production.lag import LagExceeded, LagLimit, Lags, state_ttl
from lab.settings import settings

LIMIT_S = settings.max_lag.total_seconds()
TILE = timedelta(minutes=5)


class Job:
    """A job's clock and its lags, as a test sets them."""

    def __init__(self, lags: Lags, stopped_s: float = 0) -> None:
        self.now, self.lags = 0.0, lags
        self.limit = LagLimit(lambda: self.lags, stopped_s, lambda: self.now)
        self.limit.check()

    def check(self, after_s: float, lags: Lags) -> None:
        self.now += after_s
        self.limit.check()
        self.lags = lags
        self.limit.check()


def test_state_outlives_two_records_of_a_tile_and_the_largest_growth_of_the_lag() -> None:
    apart = TILE + settings.allowed_lateness + settings.allowed_ahead
    assert settings.max_lag == timedelta(minutes=45)
    assert state_ttl() >= apart + settings.max_lag


def test_a_job_that_follows_runs_on() -> None:
    job = Job({0: 0, 1: 0})
    for _ in range(3):
        job.check(LIMIT_S / 2, {0: 1, 1: 2})


def test_a_lag_that_grows_beyond_the_limit_ends_the_job() -> None:
    job = Job({0: 0, 1: 0})
    for lag in range(0, int(LIMIT_S), 60):
        job.check(60, {0: 0, 1: lag})
    with pytest.raises(LagExceeded, match="behind for longer than its state remembers"):
        job.check(60, {0: 0, 1: LIMIT_S + 1})


def test_a_stall_that_is_over_before_the_next_look_ends_the_job() -> None:
    """The whole job was frozen: it has caught up by now, with its state expired meanwhile."""
    job = Job({0: 1})
    with pytest.raises(LagExceeded):
        job.check(LIMIT_S + 1, {0: 0})


def test_a_reread_begins_days_behind() -> None:
    job = Job({0: 3 * 86_400})
    for hours in range(71, -1, -1):
        job.check(60, {0: 3_600 * hours})


def test_a_stall_in_the_middle_of_a_reread_ends_the_job() -> None:
    job = Job({0: 3 * 86_400})
    job.check(60, {0: 86_400})
    with pytest.raises(LagExceeded):
        job.check(LIMIT_S + 1, {0: 86_400 + LIMIT_S + 1})


@pytest.mark.parametrize(("stall_s", "ends"), [(4 * 60, False), (6 * 60, True)])
def test_a_stop_counts_as_lag(stall_s: float, ends: bool) -> None:
    """Resumed from a checkpoint of 40 minutes before, five minutes are left."""
    job = Job({0: 40 * 60}, stopped_s=40 * 60)
    if ends:
        with pytest.raises(LagExceeded):
            job.check(stall_s, {0: 40 * 60 + stall_s})
    else:
        job.check(stall_s, {0: 40 * 60 + stall_s})


def test_no_answer_of_kafka_counts_as_lag() -> None:
    job = Job({0: 0})
    job.lags = {}
    job.check(LIMIT_S / 2, {})
    with pytest.raises(LagExceeded):
        job.check(LIMIT_S / 2 + 1, {})


def savepoint(folder: Path, age_s: float) -> Path:
    """Write a complete savepoint, with the definition "now"."""
    point = folder / "savepoints" / "savepoint-1"
    point.mkdir(parents=True)
    (folder / "definition").write_text("now")
    (point / "_metadata").touch()
    os.utime(point / "_metadata", (time.time() - age_s,) * 2)
    return point


def test_a_stop_just_under_the_limit_is_resumed(tmp_path: Path) -> None:
    point = savepoint(tmp_path, LIMIT_S - 60)
    assert resume_point(tmp_path, "now") == point


def test_after_a_longer_stop_the_log_is_read_again(tmp_path: Path) -> None:
    savepoint(tmp_path, LIMIT_S + 60)
    assert resume_point(tmp_path, "now") is None


def test_a_checkpoint_of_another_definition_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    savepoint(tmp_path, 0)
    assert resume_point(tmp_path, "another") is None
    assert "another definition or state backend" in capsys.readouterr().out
    assert resume_point(tmp_path, "now") is None, "the first one is deleted"
