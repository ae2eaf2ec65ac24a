"""How often the monitor cries wolf: 200 days of shops in which nothing drifts."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring.production.drift.panel import Panel, read_panel
from exercise_06_monitoring.production.drift.windows import compare_windows, psi_by_day, windows_of
from lab.dataset.simulate import simulate
from lab.settings import settings
from tests.exercise_06.monitored_shop import views_in
from tests.shop import AS_OF

SEEDS, DAYS_OF_A_SEED = (11, 12), 100
AT_MOST = 0.05


def alarms(folder: Path) -> list[set[str]]:
    """The features that are said to have drifted, for each of the last days."""
    reach = settings.drift_reference_days[0] + settings.drift_history_days + DAYS_OF_A_SEED
    panels = [read_panel(view, AS_OF, reach) for view in views_in(folder)]
    days = range(DAYS_OF_A_SEED + settings.drift_history_days)
    histories = [psi_by_day(panel, days) for panel in panels]
    return [of_day(panels, histories, day) for day in range(DAYS_OF_A_SEED)]


def of_day(panels: list[Panel], histories: list[pd.DataFrame], day: int) -> set[str]:
    before = slice(day + 1, day + settings.drift_history_days)
    windows = [
        windows_of(panel, history.loc[before], day)
        for panel, history in zip(panels, histories, strict=True)
    ]
    return {drift.feature for drift in compare_windows(windows) if drift.has_drift}


@pytest.mark.slow
def test_without_drift_at_most_one_day_in_twenty_raises_an_alarm(tmp_path: Path) -> None:
    found = []
    for seed in SEEDS:
        data = tmp_path / str(seed)
        history = timedelta(days=30 + 60 + 28 + DAYS_OF_A_SEED + 1)
        simulate(data, transactions=24_000, seed=seed, as_of=AS_OF, history=history)
        found += alarms(data)
    assert len(found) == 200
    assert sum(bool(features) for features in found) <= AT_MOST * len(found), found
