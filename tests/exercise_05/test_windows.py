"""Every streaming feature at any time, however its tiles came, against plain Python."""

from collections import defaultdict
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from exercise_05_streaming.production.known_tiles import KnownTiles
from exercise_05_streaming.production.windows import (
    EVENT_TIME,
    FEATURES,
    NEXT_CHANGE,
    VERSION,
    features,
    merged,
    remembered,
)
from tests.exercise_05.tiles_by_hand import (
    DAY,
    GAP,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    TILE_MS,
    Event,
    Values,
    events_near,
    frame,
    tile_of,
    user_values,
    values_at,
    versions,
)

thorough = hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
moments = st.one_of(
    st.integers(0, 2 * DAY), st.integers(0, 60).map(lambda n: n * TILE_MS), st.just(0)
).map(lambda later: NOON + later)


def rows_at(known: KnownTiles, now: int) -> dict[str, dict[str, float | None]]:
    rows = known.features(list(range(len(known))), now)
    return {row["user_id"]: row for row in rows.iter_rows(named=True)}


def features_of(row: dict[str, float | None]) -> Values:
    return {name: row[name] for name in FEATURES}


def everything(known: KnownTiles, now: int) -> dict[str, Values]:
    return {user: features_of(row) for user, row in rows_at(known, now).items()}


def learned(*batches: list[dict[str, object]]) -> KnownTiles:
    known = KnownTiles()
    for batch in batches:
        known.learn(frame(batch))
    return known


@pytest.mark.slow
@thorough
@given(events=events_near(NOON), now=moments, data=st.data())
def test_any_order_and_any_batches_give_what_the_events_give(
    events: list[Event], now: int, data: st.DataObject
) -> None:
    tiles = versions(events)
    replayed = tiles + data.draw(
        st.lists(st.sampled_from(tiles), max_size=10) if tiles else st.just([])
    )
    shuffled = data.draw(st.permutations(replayed))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    batches = [shuffled[a:b] for a, b in pairwise([0, *cuts, len(shuffled)])]
    assert everything(learned(*batches), now) == values_at(events, now)


@pytest.mark.slow
@thorough
@given(events=events_near(NOON, users=1), now=moments)
def test_nothing_changes_before_it_is_said_to_and_all_ends_at_zero(
    events: list[Event], now: int
) -> None:
    known, moment = learned(versions(events)), now
    in_order = sorted(events, key=lambda event: event.time)
    for row in rows_at(known, moment).values():
        while (change := row[NEXT_CHANGE]) is not None:
            assert change > moment
            assert user_values(in_order, int(change) - 1) == features_of(row)
            moment, before = int(change), features_of(row)
            row = rows_at(known, moment)["user_0"]
            assert features_of(row) != before
        assert not any(row[name] for name in FEATURES)


@pytest.mark.slow
@thorough
@given(events=events_near(NOON, users=1))
def test_the_version_grows_with_what_is_known(events: list[Event]) -> None:
    rows = [rows_at(learned(versions(events[:n])), NOON) for n in range(1, len(events) + 1)]
    known = [int(row["user_0"][VERSION] or 0) for row in rows]
    assert known == sorted(known)
    for (event, older), newer in zip(zip(events[1:], known, strict=False), known[1:], strict=True):
        newest = max(other.time for other in events[: events.index(event) + 1])
        if event.time // DAY >= newest // DAY - 1:
            assert newer > older  # so Redis takes it


@pytest.mark.slow
@thorough
@given(events=events_near(NOON), now=moments)
def test_what_is_forgotten_is_not_missed(events: list[Event], now: int) -> None:
    all_tiles = merged(frame(versions(events)))
    kept = remembered(all_tiles)
    assert features(kept, now).equals(features(all_tiles, now))
    oldest_kept = kept.group_by("user_id").agg(pl.col("tile_start").min())
    newest = dict(all_tiles.group_by("user_id").agg(pl.col("tile_start").max()).iter_rows())
    for user, start in oldest_kept.iter_rows():
        session = user_values([e for e in events if e.user == user], newest[user] * SECOND)
        assert newest[user] - start < 2 * DAY // SECOND or session["transaction_count_session"]


def test_a_session_of_days_is_counted_from_its_first_event() -> None:
    """It outlives what is kept for the other windows."""
    events = [Event("user_0", NOON + n * 20 * MINUTE, 100, declined=False) for n in range(300)]
    known = KnownTiles()
    for event in events:
        known.learn(frame([tile_of([event])]))
    assert everything(known, events[-1].time + 1) == values_at(events, events[-1].time + 1)
    assert everything(known, events[-1].time + 1)["user_0"]["transaction_count_session"] == 300


@pytest.mark.parametrize(("pause", "events"), [(GAP, 2), (GAP + 1, 1)])
def test_a_session_goes_on_after_the_gap_and_not_a_millisecond_later(
    pause: int, events: int
) -> None:
    """As Flink's SESSION has it."""
    known = learned(
        [tile_of([Event("user_0", NOON + late, 100, declined=False)]) for late in (0, pause)]
    )
    values = everything(known, NOON + pause + 1)["user_0"]
    assert values["transaction_count_session"] == events
    assert everything(known, NOON + pause + GAP)["user_0"]["transaction_count_session"] == 0


def test_memory_does_not_grow_with_time() -> None:
    known = KnownTiles()
    sizes = defaultdict(int)
    for day in range(10):
        for hour in range(24):
            event = Event("user_0", NOON + day * DAY + hour * HOUR, 100, declined=False)
            known.learn(frame([tile_of([event])]))
        sizes[day] = known.tiles
    assert max(sizes.values()) <= 48


def test_users_are_due_when_a_value_changes() -> None:
    known = learned([tile_of([Event("user_0", NOON, 100, declined=False)])])
    assert known.due(NOON, limit=10) == [0]
    assert known.due(NOON, limit=10) == []
    known.wait_for_change([0], known.features([0], NOON))
    assert known.due(NOON + TILE_MS - 1, limit=10) == []
    assert known.due(NOON + TILE_MS, limit=10) == [0]


def test_the_event_time_is_the_newest_event_and_never_ahead_of_its_tile() -> None:
    early = Event("user_0", NOON + 10 * SECOND, 100, declined=False)
    ahead = Event("user_0", NOON + TILE_MS + SECOND, 900, declined=False)
    known = learned([tile_of([early]), tile_of([ahead])])
    now = NOON + 20 * SECOND
    assert rows_at(known, now)["user_0"][EVENT_TIME] == early.time
    assert rows_at(known, now)["user_0"]["max_amount_5m"] == 1.0
    assert rows_at(known, now)["user_0"][NEXT_CHANGE] == NOON + TILE_MS
    assert rows_at(known, NOON + TILE_MS)["user_0"]["max_amount_5m"] == 9.0
