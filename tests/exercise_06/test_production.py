"""The production parts: each alone, all, none; samples of large tables."""

import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring.production import __main__
from exercise_06_monitoring.production.__main__ import PARTS, build_monitor
from exercise_06_monitoring.production.alertmanager import Alertmanager
from exercise_06_monitoring.production.large_tables import sampled_windows
from exercise_06_monitoring.report import drift_checks
from exercise_06_monitoring.serving import check_api
from exercise_06_monitoring.state import AlertState, record_run
from exercise_06_monitoring.windows import drift_windows
from lab.errors import UserError
from tests.exercise_06.monitored_shop import views_in
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF


@pytest.mark.parametrize("part", [*PARTS, "all", "none"])
def test_each_part_can_be_used_alone(part: str) -> None:
    parts = {"all": set(PARTS), "none": set[str]()}.get(part, {part})
    monitor = build_monitor(parts)
    assert (monitor.windows is drift_windows) == ("large_tables" not in parts)
    assert len(monitor.more_checks) == len(parts & {"drift_limits", "outcomes", "volume"})
    assert (monitor.drift_alerts is drift_checks) == ("drift_limits" not in parts)
    assert (monitor.check_api is check_api) == ("metrics_exposition" not in parts)
    expected = Alertmanager if "alertmanager" in parts else AlertState
    assert type(monitor.alerts) is expected


def test_the_limits_of_a_large_table_are_of_its_sample(
    simulated: Path, tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_settings(data_dir=tmp_path, model_dir=tmp_path)
    view = views_in(simulated)[0]
    few = partial(sampled_windows, entities=100)
    monkeypatch.setattr(__main__, "sampled_windows", few)
    (check_drift,) = build_monitor({"drift_limits", "large_tables"}).more_checks
    messages = " ".join(check.message for check in check_drift([(view, pd.DataFrame())], AS_OF))
    rows = [int(number) for number in re.findall(r"(\d+) rows", messages)]
    assert 0 < max(rows) < 200


@pytest.mark.parametrize("part", ["drift_limits", "outcomes"])
def test_a_part_checks_once_a_day(
    part: str, tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_settings(data_dir=tmp_path)
    for name in ("check_drift", "check_outcomes"):
        monkeypatch.setattr(__main__, name, lambda *_, **__: iter(["a check"]))
    (check,) = build_monitor({part}).more_checks
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert [*check([], AS_OF)] == [*check([], AS_OF + hour)] != [], "the run failed"
    record_run(AS_OF)
    times = (AS_OF + hour, AS_OF + day, AS_OF - day)
    assert [len([*check([], now)]) for now in times] == [0, 1, 1], "a rerun has it"


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UserError, match="there is no part fast"):
        build_monitor({"fast"})


def test_a_sample_of_entities_is_the_same_in_both_windows(simulated: Path) -> None:
    view = views_in(simulated)[0]
    windows = sampled_windows(view, AS_OF, entities=200)
    reference, current = (set(rows["entity"]) for rows in windows)
    assert 100 < len(current) < 300
    assert len(reference & current) > 0.8 * len(reference)
