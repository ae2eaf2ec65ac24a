"""Three incidents of ten days: the monitor finds two within a day; the third is none."""

import pytest

from tests.exercise_06.incidents import INCIDENTS, replay

DAYS = 10


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("dead streaming writer", "serving: user_streaming_features.progress"),
        ("flushed Redis", "unmeasured: serving"),
    ],
)
def test_an_incident_is_one_page_within_a_day_and_does_not_end(name: str, subject: str) -> None:
    found = replay(INCIDENTS[name], DAYS)
    assert found["seen by"] == subject
    assert found["after hours"] <= 24
    assert (found["pages"], found["warnings"], found["resolved"]) == (1, 0, 0)


def test_dearer_goods_are_no_page() -> None:
    found = replay(INCIDENTS["prices up 44 % (none)"], DAYS)
    assert (found["pages"], found["resolved"]) == (0, 0)
