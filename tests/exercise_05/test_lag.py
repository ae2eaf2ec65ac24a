"""State outlives what may still be accepted, by the clock of the job."""

import os
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exercise_05_streaming.production import job
from exercise_05_streaming.production.checkpoints import checkpoint_folder, resume_point
from exercise_05_streaming.production.lag import LagExceeded, LagLimit, Lags, state_ttl
from exercise_05_streaming.writer import Superseded
from lab.errors import UserError
from lab.settings import settings

LIMIT_S = settings.max_lag.total_seconds()
TILE, DAY_S = timedelta(minutes=5), 86_400


def ends(start: Lags, *steps: tuple[float, Lags], stopped_s: float = 0) -> bool:
    """Return whether a job with such lags is ended, at the last step and not before."""
    now, lags = 0.0, start
    limit = LagLimit(lambda: lags, stopped_s, lambda: now)
    limit.check()
    for number, (after_s, next_lags) in enumerate(steps, start=1):
        now, lags = now + after_s, next_lags
        try:
            limit.check()
        except LagExceeded:
            assert number == len(steps)
            return True
    return False


def test_state_outlives_two_records_of_a_tile_and_the_largest_growth_of_the_lag() -> None:
    apart = TILE + settings.allowed_lateness + settings.allowed_ahead
    assert settings.max_lag == timedelta(minutes=45)
    assert state_ttl() >= apart + settings.max_lag


def test_a_lag_that_grows_beyond_the_limit_ends_the_job() -> None:
    follows = [(LIMIT_S / 2, {0: 1.0, 1: 2.0})] * 3
    assert not ends({0: 0, 1: 0}, *follows)
    grows = [(60.0, {0: 0.0, 1: float(lag)}) for lag in range(0, int(LIMIT_S), 60)]
    assert ends({0: 0, 1: 0}, *grows, (61, {0: 0, 1: LIMIT_S + 1}))


def test_a_record_with_an_old_time_of_its_producer_is_no_lag() -> None:
    """As of a mirrored log, between records of this moment: such a record ended the job."""
    assert not ends({0: 0}, (1, {0: 17 * 3_600.0}), (1, {0: 0}))


def test_a_stall_that_is_over_before_the_next_look_ends_the_job() -> None:
    """The whole job was frozen: it has caught up by now, with its state expired meanwhile."""
    assert ends({0: 1}, (LIMIT_S + 1, {0: 0}))


def test_a_reread_begins_days_behind_and_ends_by_a_stall() -> None:
    reread = [(60.0, {0: 3_600.0 * hours}) for hours in range(71, -1, -1)]
    assert not ends({0: 3 * DAY_S}, *reread)
    assert ends({0: 3 * DAY_S}, (60, {0: DAY_S}), (LIMIT_S + 1, {0: DAY_S + LIMIT_S + 1}))


@pytest.mark.parametrize(("stall_s", "ended"), [(4 * 60, False), (6 * 60, True)])
def test_a_stop_counts_as_lag(stall_s: float, ended: bool) -> None:
    """Resumed from a checkpoint of 40 minutes before, five minutes are left."""
    step = stall_s, {0: 40 * 60 + stall_s}
    assert ends({0: 40 * 60}, step, stopped_s=40 * 60) == ended


def test_no_answer_of_kafka_counts_as_lag() -> None:
    assert ends({0: 0}, (1, {}), (LIMIT_S / 2, {}), (LIMIT_S / 2 + 1, {}))


@pytest.mark.parametrize(
    ("age_s", "definition", "is_resumed"),
    [(LIMIT_S - 60, "now", True), (LIMIT_S + 60, "now", False), (0, "another", False)],
)
def test_an_old_checkpoint_or_one_of_another_definition_is_not_resumed(
    tmp_path: Path, age_s: float, definition: str, is_resumed: bool
) -> None:
    point = tmp_path / "savepoints" / "savepoint-1"
    point.mkdir(parents=True)
    (tmp_path / "definition").write_text("now")
    (point / "_metadata").touch()
    os.utime(point / "_metadata", (time.time() - age_s,) * 2)
    assert resume_point(tmp_path, definition) == (point if is_resumed else None)


@pytest.mark.parametrize(
    ("error", "stays"), [(LagExceeded, False), (Superseded, False), (UserError, True)]
)
def test_a_job_whose_state_no_longer_fits_reads_the_log_again(
    error: type[UserError], stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed, it would find the tiles of the later job, and end again."""
    complete = tmp_path / "chk-1" / "_metadata"
    complete.parent.mkdir()
    complete.touch()
    ended: list[str] = []

    def run(*_: object) -> None:
        raise error("it ends")

    monkeypatch.setattr("signal.signal", lambda *_: None)
    flink: Any = SimpleNamespace(cancel=lambda: ended.append("cancelled"))
    writer: Any = SimpleNamespace(run=run)
    with pytest.raises(error):
        job.run(flink, writer, LagLimit(lambda: {}), tmp_path)
    assert ended == ["cancelled"]
    assert complete.exists() == stays


@pytest.mark.parametrize("ids", ["/jaYKqMR4-FFj2y3", "Wyuia2/XDQ+4-A==", "../a-b"])
def test_each_log_has_one_folder_of_state_whatever_its_topics_ids(ids: str) -> None:
    folder = checkpoint_folder(ids)
    assert folder.parent == settings.build_dir.resolve() / "flink" / "checkpoints"
