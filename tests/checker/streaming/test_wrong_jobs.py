"""Right and wrong streaming jobs, graded in simulated time by 5.2, 5.3 and 5.6."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.streaming.events import FEATURES, FIVE_MINUTES
from checker.streaming.events import HOUR as HOUR_FEATURES
from checker.verdict.outcome import SubmissionError
from exercise_05_streaming import checks
from tests.checker.streaming.simulated import (
    RIGHT,
    Aggregate,
    Clock,
    Job,
    Records,
    SimulatedStream,
    Window,
    amounts,
    average,
    declined,
    sliding,
    tile,
    tumbling,
)

CHECKS = {
    "5.2": checks.events_are_consumed,
    "5.3": checks.values_equal_a_recount,
    "5.6": checks.late_events_are_handled,
}


def rolling(records: Records, now: datetime) -> Records:
    return [r for r in records if now - r.event.at < timedelta(minutes=5)]


def rolling_hour(records: Records, now: datetime) -> Records:
    return [r for r in records if now - r.event.at < timedelta(hours=1)]


def newest(records: Records, now: datetime) -> Records:
    """Select the last five minutes that have an event: they stay when they are over."""
    return tumbling(records, max((r.event.at for r in records), default=now))


def by_arrival(records: Records, now: datetime) -> Records:
    return [r for r in records if tile(r.received) == tile(now)]


def unlimited(records: Records, _: datetime) -> Records:
    return records


def with_windows(five: Window, hour: Window) -> Mapping[str, tuple[Window, Aggregate]]:
    windows = dict.fromkeys(FIVE_MINUTES, five) | dict.fromkeys(HOUR_FEATURES, hour)
    return {name: (windows[name], aggregate) for name, (_, aggregate) in RIGHT.items()}


def but(feature: str, window: Window, aggregate: Aggregate | None = None) -> Job:
    """Return a right job with another window, or aggregate, of one feature."""
    return Job({**RIGHT, feature: (window, aggregate or RIGHT[feature][1])})


RIGHT_JOBS = {
    "by_the_clock": Job(),
    "rolling": Job(with_windows(rolling, rolling_hour)),
    "newest_window": Job(with_windows(newest, sliding)),
    "all_late_events": Job(lateness_s=86_400),
}
WRONG_JOBS = {
    **{f"{name}_of_an_hour": but(name, sliding) for name in FIVE_MINUTES},
    **{f"{name}_of_five_minutes": but(name, tumbling) for name in HOUR_FEATURES},
    **{f"{name}_without_end": but(name, unlimited) for name in FEATURES},
    **{f"{name}_by_arrival": but(name, by_arrival) for name in FIVE_MINUTES},
    "sum_for_maximum": but("max_amount_5m", tumbling, lambda found: sum(amounts(found))),
    "last_for_maximum": but("max_amount_5m", tumbling, lambda found: amounts(found)[-1]),
    "average_in_cents": but("avg_amount_1h", sliding, lambda found: 100 * average(found)),
    "approved_only": but(
        "total_amount_5m",
        tumbling,
        lambda found: sum(r.event.amount for r in found if r.event.is_approved),
    ),
    "declined_share": but("declined_count_5m", tumbling, lambda rows: declined(rows) / len(rows)),
    "late_dropped": Job(lateness_s=10),
    "counted_again_after_a_restart": Job(copies_after_restart=2),
    "without_ttl": Job(ttl_s=None),
    "ttl_of_a_minute": Job(ttl_s=60),
    "without_flink": Job(needs_flink=False),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("checker.streaming.stream", "checker.streaming.settling"):
        monkeypatch.setattr(f"{module}.time", clock)
    monkeypatch.setattr("checker.streaming.stream.utc_now", clock.now)
    monkeypatch.setattr(checks, "utc_now", clock.now)
    return clock


def failed(job: Job, clock: Clock, folder: Path) -> list[str]:
    """Return the criteria that a job fails."""
    submission = SimulatedStream(job, clock, folder).submission
    found = []
    for identifier, check in CHECKS.items():
        try:
            passed = check(submission).passed
        except SubmissionError:
            passed = False
        if not passed:
            found.append(identifier)
    return found


@pytest.mark.parametrize("name", RIGHT_JOBS)
@pytest.mark.parametrize("start_s", [0, 200])
def test_a_right_job_passes(name: str, start_s: float, clock: Clock, tmp_path: Path) -> None:
    clock.sleep(start_s)
    assert failed(RIGHT_JOBS[name], clock, tmp_path) == []


@pytest.mark.parametrize("name", WRONG_JOBS)
def test_a_wrong_job_fails(name: str, clock: Clock, tmp_path: Path) -> None:
    assert failed(WRONG_JOBS[name], clock, tmp_path)
