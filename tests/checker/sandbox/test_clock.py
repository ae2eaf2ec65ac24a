"""A call with a clock that is ahead sees later times everywhere, and the next call does not."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from checker.sandbox.clock import clock_ahead

A_DAY_S = 86_400
CLOCKS: dict[str, Callable[[], datetime]] = {
    "now": lambda: datetime.now(),
    "now_utc": lambda: datetime.now(tz=UTC).replace(tzinfo=None),
    "time": lambda: datetime.fromtimestamp(time.time()),
    "pandas": lambda: pd.Timestamp.now().to_pydatetime(),
    "pandas_utc": lambda: pd.Timestamp.now(tz="UTC").tz_localize(None).to_pydatetime(),
    "pandas_text": lambda: pd.Timestamp("now").to_pydatetime(),
    "today": lambda: datetime.today(),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_every_clock_of_python_is_ahead_and_right_again(name: str) -> None:
    before = CLOCKS[name]()
    with clock_ahead(A_DAY_S):
        ahead = CLOCKS[name]()
    after = CLOCKS[name]()
    assert timedelta(days=1) <= ahead - before < timedelta(days=1, minutes=5)
    assert timedelta(0) <= after - before < timedelta(minutes=5)
