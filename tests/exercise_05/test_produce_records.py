"""Drawn and replayed events: what they hold, without a broker."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exercise_05_streaming.production.events import FAULTS, Record, Traffic, records
from lab.errors import UserError

START = datetime(2026, 3, 1, 11, 58, tzinfo=UTC)
STEP = timedelta(milliseconds=250)
RUN = "run"


def ticking() -> Iterator[datetime]:
    """A clock that goes on by a step each time it is read."""
    number = 0
    while True:
        yield START + number * STEP
        number += 1


def drawn(traffic: Traffic, count: int) -> list[Record]:
    clock = ticking()
    return list(islice(records(traffic, lambda: next(clock)), count))


def event_of(record: Record) -> dict[str, Any]:
    event = json.loads(record.value)
    return {**event, "event_time": datetime.fromisoformat(event["event_time"])}


def problem_of(record: Record) -> str | None:
    """What a reader finds wrong with a value, knowing nothing of how it was made."""
    try:
        event = json.loads(record.value)
        at = datetime.fromisoformat(event["event_time"])
        amount = float(event["amount"])
    except ValueError:
        return "not_json"
    except KeyError:
        return "missing_field"
    if event["user_id"] is None:
        return "null_user"
    if math.isnan(amount):
        return "nan_amount"
    if amount < 0:
        return "negative_amount"
    sent = datetime.fromtimestamp(record.timestamp_ms / 1_000, UTC)
    return "far_future" if at > sent + timedelta(hours=1) else None


shares = st.floats(0, 0.33)


@given(seed=st.integers(0, 2**32), late=shares, duplicates=shares, malformed=shares)
def test_each_record_is_right_or_late_or_repeated_or_malformed(
    seed: int, late: float, duplicates: float, malformed: float
) -> None:
    traffic = Traffic(
        late=late, late_by_s=30, duplicates=duplicates, malformed=malformed, seed=seed, run=RUN
    )
    seen: set[bytes] = set()
    for number, record in enumerate(drawn(traffic, 200)):
        assert record.timestamp_ms == (START + number * STEP).timestamp() * 1_000
        assert problem_of(record) == record.fault
        if record.fault is None:
            event = event_of(record)
            assert record.key.decode() == event["user_id"]
            is_repeated = record.value in seen
            age = START + number * STEP - event["event_time"]
            assert is_repeated or timedelta(0) <= age <= timedelta(seconds=30)
            seen.add(record.value)
    ids = [event_of(Record(b"", value, 0))["transaction_id"] for value in seen]
    assert len(set(ids)) == len(ids)


def test_shares_are_those_that_were_asked_for() -> None:
    count = 5_000
    made = drawn(Traffic(late=0.2, late_by_s=60, duplicates=0.1, malformed=0.15, run=RUN), count)
    right = [record for record in made if record.fault is None]
    events = {record.value: record for record in reversed(right)}.values()
    late = [r for r in events if event_of(r)["event_time"].timestamp() * 1_000 < r.timestamp_ms]
    assert abs(len(made) - len(right) - 0.15 * count) < 0.02 * count
    assert abs(len(right) - len(events) - 0.1 * count) < 0.02 * count
    assert abs(len(late) - 0.2 * count) < 0.02 * count
    assert {record.fault for record in made} == {None, *FAULTS}


def test_the_same_seed_and_clock_give_the_same_records() -> None:
    traffic = Traffic(late=0.1, duplicates=0.1, malformed=0.1, seed=7, run=RUN)
    assert drawn(traffic, 300) == drawn(traffic, 300)
    other = Traffic(late=0.1, duplicates=0.1, malformed=0.1, seed=8, run=RUN)
    assert drawn(traffic, 300) != drawn(other, 300)


def test_another_run_makes_other_transactions() -> None:
    ids = [{event_of(r)["transaction_id"] for r in drawn(Traffic(), 50)} for _ in range(2)]
    assert len(ids[0] | ids[1]) == 100


@pytest.mark.parametrize(("skew", "share"), [(0.0, 1 / 20), (1.0, 0.278)])
def test_the_first_user_is_as_busy_as_the_skew_says(skew: float, share: float) -> None:
    users = Counter(record.key for record in drawn(Traffic(users=20, skew=skew, run=RUN), 4_000))
    assert len(users) == 20
    assert abs(users[b"user_0"] / 4_000 - share) < 0.02


@pytest.mark.parametrize("shares", [{"late": 0.6, "duplicates": 0.5}, {"malformed": -0.1}])
def test_shares_that_cannot_be_are_refused(shares: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="shares of all"):
        Traffic(**shares)
