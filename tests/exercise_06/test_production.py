"""The production parts: each alone, all, none; samples of large tables."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring.feature_monitoring import measure_drift
from exercise_06_monitoring.production import large_tables
from exercise_06_monitoring.production.__main__ import CHECKS, PARTS, build_monitor
from exercise_06_monitoring.production.alertmanager import Alertmanager
from exercise_06_monitoring.production.large_tables import sampled_windows
from exercise_06_monitoring.report import drift_checks
from exercise_06_monitoring.state import AlertState
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
    assert len(monitor.more_checks) == len(parts & {*CHECKS})
    assert (monitor.drift_alerts is drift_checks) == ("drift_limits" not in parts)
    expected = Alertmanager if "alertmanager" in parts else AlertState
    assert type(monitor.alerts) is expected


def test_the_limits_of_a_large_table_are_of_its_sample(
    simulated: Path, tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_settings(data_dir=tmp_path, model_dir=tmp_path)
    view = views_in(simulated)[0]
    write = large_tables.write_sample
    monkeypatch.setattr(
        large_tables, "write_sample", lambda source, key, _, file: write(source, key, 100, file)
    )
    (check_drift,) = build_monitor({"drift_limits", "large_tables"}).more_checks
    messages = " ".join(check.message for check in check_drift([(view, pd.DataFrame())], AS_OF))
    rows = [int(number) for number in re.findall(r"(\d+) rows", messages)]
    assert 0 < max(rows) < 200


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UserError, match="there is no part fast"):
        build_monitor({"fast"})


def test_a_sample_of_entities_is_the_same_in_both_windows(simulated: Path) -> None:
    view = views_in(simulated)[0]
    windows = sampled_windows(view, AS_OF, entities=200)
    reference, current = (set(rows["entity"]) for rows in windows)
    assert 100 < len(current) < 300
    assert len(reference & current) > 0.8 * len(reference)


def test_a_sample_of_a_table_finds_the_same_drift(tmp_path: Path) -> None:
    """PSI of 20,000 of 100,000 entities is that of all, to 0.03."""
    random = np.random.default_rng(7)
    ages = [45, 3]
    frames = []
    for age, mean in zip(ages, (100, 115), strict=True):
        users = [f"user_{n}" for n in range(100_000)]
        moment = AS_OF - pd.Timedelta(days=age)
        amounts = random.normal(mean, 20, len(users))
        frames.append(pd.DataFrame({"user_id": users, "moment": moment, "amount": amounts}))
    file = tmp_path / "user_stats.parquet"
    old = frames[0].assign(moment=AS_OF - pd.Timedelta(days=120))
    pd.concat([old, *frames]).assign(created=lambda rows: rows["moment"]).to_parquet(file)
    view = views_in(tmp_path)[0]
    view.features = view.features[:1]
    view.features[0].name = "amount"
    view.batch_source.timestamp_field = "moment"
    view.batch_source.created_timestamp_column = "created"
    windows = drift_windows(view, AS_OF), sampled_windows(view, AS_OF)
    exact, sampled = (measure_drift("amount", *(w["amount"] for w in pair)) for pair in windows)
    assert exact["rows_current"] == 100_000
    assert 12_000 < sampled["rows_current"] < 30_000
    assert sampled["psi"] == pytest.approx(exact["psi"], abs=0.03)
