"""What a log of transactions makes, recounted in plain Python: accepted events, and tiles."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from confluent_kafka import Message

from lab.settings import settings
from tests.exercise_05.tiles_by_hand import Event, Tile, tile_of

LATENESS_MS = settings.allowed_lateness.total_seconds() * 1_000
AHEAD_MS = settings.allowed_ahead.total_seconds() * 1_000
TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)?")
CENT, MOST = Decimal("0.01"), Decimal(10**16)


def judged(message: Message) -> tuple[str | None, Any]:
    """Why an event is refused, or none and the event: its id, user, time, cents, declined."""
    try:
        text = message.value() or b""
        said = json.loads(text, parse_float=str, parse_int=str, parse_constant=refuse)
    except ValueError:
        return "not_json", None
    if not isinstance(said, dict):
        return "not_json", None
    if not said.get("user_id") or isinstance(said["user_id"], dict | list):
        return "missing_user", None
    if said.get("amount") is None or isinstance(said["amount"], dict | list):
        return "missing_amount", None
    cents = cents_of(said["amount"])
    if cents is None:
        return "bad_amount", None
    time = milliseconds_of(said.get("event_time"))
    if time is None:
        return "bad_time", None
    recorded = message.timestamp()[1]
    if time < recorded - LATENESS_MS:
        return "too_late", None
    if time > recorded + AHEAD_MS:
        return "too_far_ahead", None
    identity = said.get("transaction_id") or (message.partition(), message.offset())
    return None, (identity, Event(said["user_id"], time, cents, said.get("is_approved") is False))


def refuse(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def cents_of(amount: Any) -> int | None:
    try:
        exact = Decimal(str(amount))
    except InvalidOperation:
        return None
    is_possible = exact.is_finite() and not exact.is_signed() and exact < MOST
    return int(exact.quantize(CENT, ROUND_HALF_UP) * 100) if is_possible else None


def milliseconds_of(text: Any) -> int | None:
    found = TIME.fullmatch(str(text))
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(whole.timestamp()) * 1_000 + int((found[2] or "0").ljust(3, "0")[:3])


def accepted(messages: Iterable[Message]) -> list[Event]:
    """The events that count, each transaction once."""
    events: dict[Any, Event] = {}
    for message in messages:
        reason, found = judged(message)
        if reason is None:
            events.setdefault(*found)
    return list(events.values())


def tiles(messages: Iterable[Message]) -> list[Tile]:
    """Every tile that the log makes, in order."""
    by_tile: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in accepted(messages):
        by_tile[event.user, event.time // 300_000].append(event)
    return in_order(tile_of(events) for events in by_tile.values())


def in_order(tiles: Iterable[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: (tile["user_id"], tile["tile_start"]))
