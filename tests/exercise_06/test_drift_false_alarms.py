"""False alarms: every fifth of 200 days of shops in which nothing drifts."""

from datetime import timedelta
from pathlib import Path

import pytest

from lab.dataset.simulate import simulate
from tests.exercise_06.drift_reports import drift_report, drifted
from tests.shop import AS_OF

SEEDS, DAYS_OF_A_SEED, EVERY = (11, 12), 100, 5
AT_MOST = 0.05


@pytest.mark.slow
def test_without_drift_at_most_one_day_in_twenty_raises_an_alarm(tmp_path: Path) -> None:
    found = []
    for seed in SEEDS:
        data = tmp_path / str(seed)
        history = timedelta(days=30 + 60 + 28 + DAYS_OF_A_SEED + 1)
        simulate(data, transactions=24_000, seed=seed, as_of=AS_OF, history=history)
        for day in range(0, DAYS_OF_A_SEED, EVERY):
            found.append(drifted(drift_report(data, AS_OF - timedelta(days=day))))
    assert len(found) == 40
    alarms = sum(bool(features) for features in found)
    print(f"{alarms} of {len(found)} days raise an alarm")
    assert alarms <= AT_MOST * len(found), found
