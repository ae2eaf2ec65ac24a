"""Three incidents in ten days: the monitor finds two within a day; the third is none."""

from dataclasses import replace

import pytest

from tests.exercise_06 import incidents
from tests.exercise_06.incidents import INCIDENTS, assert_required, replay


@pytest.mark.parametrize("name", ["dead streaming writer", "flushed Redis", "prices up 44 %"])
def test_an_incident_is_one_page_within_a_day_and_ends_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "EVERY", incidents.DAY)  # to save time
    incident = replace(INCIDENTS[name], first_day=3, days=5)
    found = replay(incident, days=10)
    assert_required(found, incident.is_one)
    assert (found["pages"], found["warnings"]) == (incident.is_one, 0)
