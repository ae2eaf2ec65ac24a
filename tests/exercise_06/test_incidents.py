"""Three incidents in ten days: the monitor finds two within a day; the third is none."""

from dataclasses import replace

import pytest

from tests.exercise_06.incident_payments import INCIDENTS
from tests.exercise_06.incidents import assert_required, replay

DAYS, BEGIN, LASTS = 10, 3, 5


@pytest.mark.parametrize(
    "name", ["dead streaming writer", "flushed Redis", "prices up 44 % (none)"]
)
def test_an_incident_is_one_page_within_a_day_and_ends_once(name: str) -> None:
    incident = replace(INCIDENTS[name], begin=BEGIN, days=LASTS)
    found = replay(incident, DAYS)
    assert_required(found, incident)
    assert (found["pages"], found["warnings"]) == (incident.is_one, 0)
