"""Recompute a transaction log in plain Python: accepted events, and tiles."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from confluent_kafka import Message

from lab.settings import settings
from tests.exercise_05.pipeline import Pipeline
from tests.exercise_05.tiles_by_hand import Event, Tile, tile_of
from tests.waiting import eventually

LATENESS_MS = settings.allowed_lateness.total_seconds() * 1_000
AHEAD_MS = settings.allowed_ahead.total_seconds() * 1_000
AMOUNT = re.compile(r"\d{1,18}(\.\d{0,40})?([eE][+-]?\d{1,2})?", re.ASCII)
TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?", re.ASCII)
CENT, LIMIT, LEVELS = Decimal("0.01"), Decimal(10**10), 100


def classify(message: Message) -> tuple[str | None, Any]:
    """Return why an event is rejected, or none, and its id, user, time, cents, declined."""
    event = object_in(message.value())
    if event is None:
        return "not_json" if message.value() is not None else "no_value", None
    user, cents = text_of(event.get("user_id")), cents_of(event.get("amount"))
    time, recorded = milliseconds_of(event.get("event_time")), message.timestamp()[1]
    if not user or len(user) > 256:
        return "bad_user" if user else "missing_user", None
    if cents is None:
        is_missing = event.get("amount") is None or isinstance(event["amount"], dict | list)
        return "missing_amount" if is_missing else "bad_amount", None
    if time is None:
        return "bad_time", None
    if not recorded - LATENESS_MS <= time <= recorded + AHEAD_MS:
        return "too_late" if time < recorded else "too_far_ahead", None
    number = text_of(event.get("transaction_id")).strip()
    identity = (user, number) if number else (message.partition(), message.offset())
    return None, (identity, Event(user, time, cents, text_of(event.get("is_approved")) == "false"))


def object_in(value: bytes | None) -> dict[str, Any] | None:
    """Return the object that a record is, numbers as they are written."""
    try:
        text = (value or b"").decode("utf-8-sig")
        parsed = json.loads(text, parse_float=str, parse_int=str, parse_constant=refuse)
        return parsed if isinstance(parsed, dict) and levels_of(parsed) <= LEVELS else None
    except (ValueError, RecursionError):
        return None


def levels_of(value: Any) -> int:
    """Return how deep objects and arrays are nested."""
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(levels_of, inner), default=0) if isinstance(value, dict | list) else 0


def text_of(value: Any) -> str:
    """Return a field as it is written; empty for all but a single value of whole characters."""
    if isinstance(value, bool):
        return json.dumps(value)
    is_whole = isinstance(value, str) and value == value.encode(errors="ignore").decode()
    return value if is_whole else ""


def refuse(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def cents_of(amount: Any) -> int | None:
    if not AMOUNT.fullmatch(str(amount)) or Decimal(amount) >= LIMIT:
        return None
    rounded = Decimal(amount).quantize(CENT, ROUND_HALF_UP)
    return int(rounded * 100) if rounded < LIMIT else None


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
    """Return the events that count, each transaction once."""
    events: dict[Any, Event] = {}
    for message in messages:
        reason, found = classify(message)
        if reason is None:
            events.setdefault(*found)
    return list(events.values())


def tiles(messages: Iterable[Message]) -> list[Tile]:
    """Return every tile that the log makes, in order."""
    by_tile: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in accepted(messages):
        by_tile[event.user, event.time // 300_000].append(event)
    return in_order(tile_of(events) for events in by_tile.values())


def wait_until_exact(pipeline: Pipeline) -> None:
    """Wait until the topic of tiles has those of the log."""
    expected = tiles(pipeline.events())
    eventually(lambda: in_order(pipeline.tiles().values()) == expected)


def in_order(tiles: Iterable[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: (tile["user_id"], tile["tile_start"]))
