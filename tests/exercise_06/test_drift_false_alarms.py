"""False alarms of both baselines in quiet shops; `make drift-figures` has 2,400 days."""

import pytest

from tests.exercise_06.drift_figures import false_alarms


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_quiet_shop_has_no_alarm(seed: int) -> None:
    assert false_alarms(seed, days=range(0, 15, 7)) == []
