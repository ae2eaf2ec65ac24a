"""Severities are compared by the words that are known, and a right feature is not called wrong."""

from typing import Any

import pytest

from checker.monitoring.severity import Row, wrong_severities


def rows(none: str, moderate: str, drift: str) -> list[Row]:
    calm = [Row(f"calm_{number}", "none", none) for number in range(5)]
    drifted = [Row(f"drifted_{number}", "drift", drift) for number in range(4)]
    return [*calm, Row("moderate", "moderate", moderate), *drifted]


RIGHT = [
    ("low", "medium", "high"),
    ("info", "info", "critical"),
    ("ok", "critical", "critical"),
    ("no drift", "Moderate drift", "Significant drift"),
    ("🟢", "🟡", "🔴"),
    ("", "warning", "warning"),
]


@pytest.mark.parametrize("words", RIGHT)
def test_severities_that_rise_are_right(words: Any) -> None:
    assert wrong_severities(rows(*words)) == {}


WRONG = [("high", "medium", "low"), ("warning", "warning", "warning"), ("critical", "none", "info")]


@pytest.mark.parametrize("words", WRONG)
def test_a_severity_that_does_not_rise_is_wrong(words: Any) -> None:
    wrong = wrong_severities(rows(*words))
    assert {name for name in wrong if name.startswith("drifted")}, wrong
    assert not [name for name in wrong if name.startswith("calm")], wrong


def test_moderate_drift_lies_between() -> None:
    assert set(wrong_severities(rows("low", "high", "medium"))) == {"moderate"}
    assert set(wrong_severities(rows("medium", "low", "high"))) == {"moderate"}


def test_one_wrong_row_is_the_only_one() -> None:
    wrong = wrong_severities([*rows("low", "medium", "high"), Row("one", "none", "high")])
    assert list(wrong) == ["one"]
    wrong = wrong_severities([*rows("low", "medium", "high"), Row("one", "drift", "low")])
    assert list(wrong) == ["one"]
