"""Three incidents in ten days: the monitor finds two within a day; the third is none."""

from dataclasses import replace

import pytest

from tests.exercise_06.incident_payments import INCIDENTS
from tests.exercise_06.incidents import replay

DAYS, BEGIN, LASTS = 10, 3, 5


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("dead streaming writer", "serving: user_streaming_features.progress"),
        ("flushed Redis", "unmeasured: serving"),
    ],
)
def test_an_incident_is_one_page_within_a_day_and_ends_once(name: str, subject: str) -> None:
    found = replay(replace(INCIDENTS[name], begin=BEGIN, days=LASTS), DAYS)
    signal, hours = found["first signal"]
    assert signal.startswith(subject)
    assert hours <= 24
    assert (found["pages"], found["warnings"], found["false RECOVERED"]) == (1, 0, 0)
    assert found["false"] == found["twice"] == 0


def test_dearer_goods_are_no_page() -> None:
    found = replay(replace(INCIDENTS["prices up 44 % (none)"], begin=BEGIN), DAYS)
    assert (found["pages"], found["warnings"], found["false"]) == (0, 0, 0)
