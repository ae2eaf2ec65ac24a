"""What the monitor remembers of its runs."""

from datetime import timedelta
from pathlib import Path

import pytest

from exercise_06_monitoring.production import runs
from exercise_06_monitoring.production.findings import missed_alerts
from exercise_06_monitoring.production.report.content import read_content
from lab.settings import settings
from tests.exercise_06.kept_runs import CALM, DRIFTED, FRESH, NOW, STALE, save_drift, save_quality
from tests.settings_in_force import PointSettings

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, point_settings: PointSettings) -> None:
    point_settings(data_dir=tmp_path)


def test_a_day_that_is_run_again_replaces_its_run() -> None:
    save_drift(DRIFTED, as_of=NOW)
    save_drift(CALM, as_of=NOW + HOUR)
    (today,) = runs.history("drift", CALM.feature).values()
    assert today["psi"] == CALM.psi
    latest = runs.latest("drift")
    assert latest is not None
    assert latest.as_of == NOW + HOUR


def test_an_hour_that_is_run_again_forgets_the_checks_that_it_no_longer_has() -> None:
    save_quality(STALE)
    save_quality(as_of=NOW + timedelta(minutes=10))
    assert read_content(NOW).quality == {"user_transaction_features": []}


def test_days_stay_apart() -> None:
    save_drift(DRIFTED, as_of=NOW)
    save_drift(CALM, as_of=NOW - DAY)
    assert [d["psi"] for d in runs.history("drift", CALM.feature).values()] == [
        CALM.psi,
        DRIFTED.psi,
    ]
    (newest,) = read_content(NOW).drifts
    assert newest.psi == DRIFTED.psi, "the youngest day is the newest run"


def test_since_when_it_drifts() -> None:
    for days, drift in ((4, DRIFTED), (3, CALM), (2, DRIFTED), (1, DRIFTED), (0, DRIFTED)):
        save_drift(drift, as_of=NOW - days * DAY)
    since = read_content(NOW).drifting_since
    assert since == {DRIFTED.feature: runs.period_of("drift", NOW - 2 * DAY)}
    save_drift(CALM, as_of=NOW + DAY)
    assert read_content(NOW + DAY).drifting_since == {}


def test_the_time_before_the_first_run_is_filled_without_making_runs() -> None:
    save_drift(DRIFTED, as_of=NOW)
    past = {
        NOW - days * DAY: {DRIFTED.feature: {"psi": psi}}
        for days, psi in ((3, 0.0), (2, 0.3), (1, 0.35), (0, 9.0))
    }
    runs.fill("drift", past)
    content = read_content(NOW)
    assert list(content.psi[DRIFTED.feature].values()) == [0.0, 0.3, 0.35, DRIFTED.psi]
    assert content.drifting_since[DRIFTED.feature] == runs.period_of("drift", NOW - 2 * DAY)
    assert content.drift_as_of == NOW


@pytest.mark.parametrize(("job", "period"), runs.PERIODS.items())
def test_a_missed_run_is_noticed(job: runs.Job, period: timedelta) -> None:
    save = save_drift if job == "drift" else save_quality
    assert runs.missed(job, NOW) == 0, "nothing was ever scheduled"
    save(as_of=NOW, scheduled=True)
    assert runs.missed(job, NOW) == 0
    assert runs.missed(job, NOW + period) == 0
    assert runs.missed(job, NOW + 4 * period) == 3
    save(as_of=NOW + 3 * period)
    assert runs.missed(job, NOW + 4 * period) == 3, "a run by hand is no scheduled one"
    save(as_of=NOW + 4 * period, scheduled=True)
    assert runs.missed(job, NOW + 5 * period) == 0
    assert [alert.feature for alert in missed_alerts({job: 3, "other": 0})] == [f"{job} job"]


def test_what_is_old_is_forgotten() -> None:
    save_quality(FRESH, as_of=NOW)
    save_quality(FRESH, as_of=NOW + settings.monitoring_memory + HOUR)
    assert len(runs.history("quality", "quality")) == 1


def test_without_a_run_there_is_an_empty_report() -> None:
    content = read_content(NOW)
    assert (content.drifts, content.quality, content.drift_as_of) == ([], {}, None)
    assert runs.latest("drift") is None
