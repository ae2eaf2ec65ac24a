"""The events of checks separate each feature of one window from the same of the other."""

from datetime import timedelta

import pytest

from checker.streaming.events import FIVE_MINUTES, HOUR, few, later, nonces, recount
from lab.settings import utc_now

USERS = nonces(20)
EARLIER = few(USERS, utc_now() - timedelta(minutes=6), partitions=4)
LATER = later(EARLIER, utc_now())
RIGHT = recount(LATER, EARLIER)


@pytest.mark.parametrize("feature", FIVE_MINUTES)
def test_no_user_has_the_hours_value_in_five_minutes(feature: str) -> None:
    assert (recount([*EARLIER, *LATER])[feature] != RIGHT[feature]).all()


@pytest.mark.parametrize("feature", HOUR)
def test_no_user_has_the_five_minutes_value_in_the_hour(feature: str) -> None:
    assert (recount(LATER)[feature] != RIGHT[feature]).all()


def test_users_of_a_check_differ_and_each_partition_has_some() -> None:
    values = recount(EARLIER)
    assert not values.duplicated().any()
    assert values["transaction_count_5m"].nunique() == 3
    assert {event.partition for event in EARLIER} == {0, 1, 2, 3}
