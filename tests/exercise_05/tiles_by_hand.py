"""Events, their tiles and their features at time t in plain Python, compared with the writer."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from exercise_05_streaming.windows import INTEGERS
from exercise_05_streaming.writer import TileStore

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
TILE_MS, GAP = 5 * MINUTE, 30 * MINUTE
NOON = 20_000 * DAY + 12 * HOUR

Tile = dict[str, Any]
Values = dict[str, float | None]


@dataclass(frozen=True)
class Event:
    user: str
    time: int  # milliseconds since 1970
    cents: int
    declined: bool


def events_near(now: int, users: int = 3) -> st.SearchStrategy[list[Event]]:
    """Return events of the three days before `now`, many where windows and sessions begin."""
    steps = st.one_of(
        st.integers(0, 40).map(lambda n: n * TILE_MS),
        st.integers(0, 30).map(lambda n: n * HOUR),
        st.integers(0, 3 * DAY),
    )
    edges = st.sampled_from([0, 0, 1, -1, TILE_MS - 1])
    times = st.builds(
        lambda step, edge: min(now // TILE_MS * TILE_MS - step + edge, now - 1), steps, edges
    )
    user = st.integers(0, users - 1).map("user_{}".format)
    return st.lists(
        st.builds(Event, user, times, st.integers(0, 10**7), st.booleans()), max_size=30
    )


def tile_of(events: Iterable[Event]) -> Tile:
    """Return the tile that these events of one user make."""
    mine = list(events)
    times = [event.time for event in mine]
    return {
        "user_id": mine[0].user,
        "tile_start": times[0] // TILE_MS * 300,
        "transaction_count": len(mine),
        "total_cents": sum(event.cents for event in mine),
        "max_cents": max(event.cents for event in mine),
        "declined_count": sum(event.declined for event in mine),
        "first_event": min(times),
        "last_event": max(times),
    }


def versions(events: Iterable[Event]) -> list[Tile]:
    """Return every version of every tile, as one after another of the events comes."""
    so_far: dict[tuple[str, int], list[Event]] = defaultdict(list)
    made = []
    for event in events:
        mine = so_far[event.user, event.time // TILE_MS]
        mine.append(event)
        made.append(tile_of(mine))
    return made


def update(store: TileStore, tiles: Iterable[Tile]) -> None:
    """Store tiles, or versions of them, in this order."""
    for tile in tiles:
        store.update(tile["user_id"], tuple(tile[name] for name in INTEGERS))


def stored_tiles(tiles: Iterable[Tile]) -> TileStore:
    store = TileStore()
    update(store, tiles)
    return store


def values_at(events: Iterable[Event], now: int) -> dict[str, Values]:
    """Return every user's features at `now`, by their definition."""
    by_user: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.time):
        by_user[event.user].append(event)
    return {user: user_values(mine, now) for user, mine in by_user.items()}


def user_values(mine: list[Event], now: int) -> Values:
    begins = {
        "5m": now // TILE_MS * TILE_MS,
        "1h": now // TILE_MS * TILE_MS - 11 * TILE_MS,
        "24h": now // HOUR * HOUR - 23 * HOUR,
    }
    known = [event for event in mine if event.time // TILE_MS <= now // TILE_MS]
    windows = {
        name: [event for event in known if event.time >= begin] for name, begin in begins.items()
    }
    windows["session"] = running_session(windows["24h"], now)
    return {
        f"{name}_{window}": value
        for window, events in windows.items()
        for name, value in window_values(events).items()
    }


def running_session(mine: list[Event], now: int) -> list[Event]:
    session: list[Event] = []
    for event in mine:
        if session and event.time - session[-1].time > GAP:
            session = []
        session.append(event)
    return session if session and now - session[-1].time < GAP else []


def window_values(events: list[Event]) -> Values:
    dollars = sum(event.cents for event in events) / 100.0
    return {
        "transaction_count": len(events),
        "total_amount": dollars,
        "avg_amount": dollars / len(events) if events else None,
        "max_amount": max((event.cents / 100.0 for event in events), default=None),
        "declined_count": sum(event.declined for event in events),
    }
