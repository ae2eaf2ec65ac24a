"""Every streaming feature at any time, however its tiles came, against plain Python."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from exercise_05_streaming.windows import FEATURES, features
from exercise_05_streaming.writer import TileStore
from tests.exercise_05.tiles_by_hand import (
    DAY,
    GAP,
    HOUR,
    NOON,
    TILE_MS,
    Event,
    Values,
    events_near,
    stored_tiles,
    tile_of,
    update,
    user_values,
    values_at,
    versions,
)

thorough = hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
moments = st.one_of(
    st.integers(0, 2 * DAY), st.integers(0, 60).map(lambda n: n * TILE_MS), st.just(0)
).map(lambda later: NOON + later)


def rows_at(store: TileStore, now: int) -> dict[str, dict[str, float | None]]:
    rows = features(store.frame(store.users()), now)
    return {row["user_id"]: row for row in rows.iter_rows(named=True)}


def features_of(row: dict[str, float | None]) -> Values:
    return {name: row[name] for name in FEATURES}


def everything(store: TileStore, now: int) -> dict[str, Values]:
    return {user: features_of(row) for user, row in rows_at(store, now).items()}


@pytest.mark.slow
@thorough
@given(events=events_near(NOON), now=moments, data=st.data())
def test_any_order_of_versions_gives_what_the_events_give(
    events: list[Event], now: int, data: st.DataObject
) -> None:
    tiles = versions(events)
    again = data.draw(st.lists(st.sampled_from(tiles), max_size=10) if tiles else st.just([]))
    shuffled = data.draw(st.permutations(tiles + again))
    assert everything(stored_tiles(shuffled), now) == values_at(events, now)


@pytest.mark.slow
@thorough
@given(events=events_near(NOON, users=1), now=moments)
def test_nothing_changes_before_next_change_and_all_ends_at_zero(
    events: list[Event], now: int
) -> None:
    known, moment = stored_tiles(versions(events)), now
    in_order = sorted(events, key=lambda event: event.time)
    for row in rows_at(known, moment).values():
        while (change := row["next_change"]) is not None:
            assert change > moment
            assert user_values(in_order, int(change) - 1) == features_of(row)
            moment, before = int(change), features_of(row)
            row = rows_at(known, moment)["user_0"]
            assert features_of(row) != before
        assert not any(row[name] for name in FEATURES)


@pytest.mark.parametrize(("pause", "events"), [(GAP, 2), (GAP + 1, 1)])
def test_a_session_goes_on_after_the_gap_and_not_a_millisecond_later(
    pause: int, events: int
) -> None:
    """As Flink's SESSION has it."""
    paid = [Event("user_0", NOON + later, 100, declined=False) for later in (0, pause)]
    known = stored_tiles(tile_of([event]) for event in paid)
    values = everything(known, NOON + pause + 1)["user_0"]
    assert values["transaction_count_session"] == events
    assert everything(known, NOON + pause + GAP)["user_0"]["transaction_count_session"] == 0


def test_memory_does_not_grow_with_time() -> None:
    store = TileStore()
    for day in range(10):
        for hour in range(24):
            event = Event("user_0", NOON + day * DAY + hour * HOUR, 100, declined=False)
            update(store, [tile_of([event])])
        assert len(store.frame(["user_0"])) <= 48
