"""Events of twins around the end of five minutes: late ones lie in the window before."""

from datetime import UTC, datetime, timedelta

import pytest

from checker.streaming.events import Event
from checker.streaming.twins import Twins

END = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)


def around(twins: Twins, *seconds: float) -> list[Event]:
    """Collect the events of some seconds after the end of a window; negative ones are before."""
    return [
        event
        for second in seconds
        for event in twins.due(END + timedelta(seconds=second), -second % 300)
    ]


def test_twins_have_equal_events_of_which_one_arrives_in_the_next_window() -> None:
    twins = Twins(allowed_lateness_s=60)
    before = around(twins, -120, -18, -17)
    assert twins.is_half_sent
    after = around(twins, 1, 16, 17, 283)
    assert {event.user for event in before} == set(twins.on_time)
    assert all(event.at < END for event in before)
    late = [event for event in after if event.at < END]
    assert {event.user for event in late} == set(twins.late)
    assert {event.at for event in late} == {event.at for event in before}
    of = {user: [] for user in (*twins.on_time, *twins.late)}  # type: dict[str, list[object]]
    for event in (*before, *after):
        of[event.user].append((event.at, event.amount, event.is_approved))
    assert [of[user] for user in twins.on_time] == [of[user] for user in twins.late]
    assert twins.sent == after
    assert not twins.is_half_sent


@pytest.mark.parametrize(
    ("lateness_s", "seconds"),
    [(60, (-18, 40)), (20, (-18, 16)), (60, (-120, 16)), (0, (-1, 16))],
    ids=["interrupted", "less_declared", "no_first", "none_declared"],
)
def test_no_event_is_later_than_four_fifths_of_what_is_declared(
    lateness_s: float, seconds: tuple[float, ...]
) -> None:
    twins = Twins(lateness_s)
    assert all(event.user not in twins.late for event in around(twins, *seconds))
    assert not twins.sent


def test_after_an_interruption_the_next_end_of_a_window_counts() -> None:
    twins = Twins(allowed_lateness_s=60)
    around(twins, -18, 40)
    assert around(twins, 282, 316)
    assert twins.sent
