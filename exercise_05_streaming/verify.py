"""Recompute every feature from the log of transactions in Python; compare with Redis.

python -m exercise_05_streaming.verify
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import polars as pl
import redis

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming import topics
from exercise_05_streaming.windows import FEATURES, TILE, TILE_S, features, sliding_24h
from exercise_05_streaming.writer import VIEW
from lab.learn import UserError, open_store, run_script, settings

FIELDS = ("user_id", "amount", "is_approved", "event_time", "transaction_id")
EVENT = {"user_id": str, "cents": int, "declined": bool, "ms": int, "record_ms": int, "id": str}
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
CENT, LIMIT = Decimal("0.01"), 10**10
OPENING, COMMA = re.compile(r"[ \t\r\n]*(\[?)[ \t\r\n]*"), re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
# Numbers as written, control characters in a text, the first of two fields with one name, no NaN.
FLINK_JSON = json.JSONDecoder(
    strict=False,
    parse_int=lambda digits: digits if digits == "-0" else int(digits),
    parse_float=str,
    parse_constant=int,
    object_pairs_hook=lambda pairs: dict(reversed(pairs)),
)
Record = tuple[bytes | None, int]  # its value, and Kafka's time of it in ms


def read_log(topic: str = topics.TRANSACTIONS) -> list[Record]:
    """Return all records of a topic. Raises KafkaException."""
    records = topics.TopicReader(topic).to_the_end()
    return [(record.value(), record.timestamp()[1]) for record in records]


def events_in(record: bytes | None) -> Iterator[dict[str, Any]]:
    """Yield the event of a record, or those of an array up to an element that is no object.

    Flink's JSON format reads a record so, and ignores the text behind an object. What differs: it
    reads some bytes that are no UTF-8 and up to 1,000 levels of objects, and skips a record with a
    number of over 1,000 digits or a name of over 50,000 characters.
    """
    raw = record or b""
    with suppress(ValueError, RecursionError):
        text = raw.decode(json.detect_encoding(raw))
        opening = OPENING.match(text)
        place = opening.end() if opening else 0
        while text.startswith("{", place):
            event, end = FLINK_JSON.raw_decode(text, place)
            yield event
            comma = COMMA.match(text, end) if opening and opening[1] else None
            place = comma.end() if comma else len(text)


def as_text(value: Any) -> str:
    """Return the value of a field as Flink casts it to STRING."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return "" if value is None else json.dumps(value, separators=(",", ":"))


def accepted_event(event: dict[str, Any], record_ms: int) -> tuple[Any, ...] | None:
    """Return the columns of EVENT, or None: the definition of `accept_events`."""
    user, amount, is_approved, event_time, number = (as_text(event.get(name)) for name in FIELDS)
    time = re.fullmatch(topics.EVENT_TIME, event_time)
    if not (time and re.fullmatch(topics.AMOUNT, amount) and 1 <= len(user) <= 256):
        return None
    with suppress(ValueError, InvalidOperation):  # the 30th of February, or far too much
        ms = (datetime.fromisoformat(f"{time[1]}+00:00") - EPOCH) // MILLISECOND
        dollars = Decimal(amount).quantize(CENT, ROUND_HALF_UP)
        if dollars < LIMIT and record_ms - 900_000 <= ms <= record_ms + 60_000:
            return user, int(dollars * 100), is_approved == "false", ms, record_ms, number
    return None


def accepted_events(
    log: Iterable[Record], events: Callable[[bytes | None], Iterable[Any]] = events_in
) -> pl.DataFrame:
    """Return the events of a log that count, in order."""
    found = (accepted_event(event, ms) for record, ms in log for event in events(record))
    return pl.DataFrame([event for event in found if event], schema=EVENT, orient="row")


def recompute_tiles(accepted: pl.DataFrame) -> pl.DataFrame:
    """Return the tiles of accepted events: the definition of `compute_features`."""
    cents, ms = pl.col("cents"), pl.col("ms")
    tiles = accepted.group_by("user_id", (ms // (TILE_S * 1_000) * TILE_S).alias("tile_start")).agg(
        pl.len().alias("transaction_count"),
        cents.sum().alias("total_cents"),
        cents.max().alias("max_cents"),
        pl.col("declined").sum().alias("declined_count"),
        ms.min().alias("first_event"),
        ms.max().alias("last_event"),
    )
    return tiles.cast(TILE).sort("user_id", "tile_start")


def stored_features(users: list[str]) -> pl.DataFrame:
    """Read the features of users by Feast: a row for each."""
    names = [f"{VIEW}:{feature}" for feature in FEATURES]
    rows = [{"user_id": user} for user in users]
    found = open_store().get_online_features(names, rows).to_dict()
    return pl.DataFrame(found).select("user_id", *FEATURES)


def differences(
    accepted: Callable[[], pl.DataFrame] = lambda: accepted_events(read_log()),
    read: Callable[[list[str]], pl.DataFrame] = stored_features,
) -> list[str]:
    """Return the users whose stored features differ from the log, with both rows."""
    now_ms = int(redis.Redis(settings.host, settings.redis_port).get(PROGRESS_KEY) or 0)
    if not now_ms:
        return ["Redis holds no progress time: the job has not read the log yet"]
    tiles = recompute_tiles(accepted()).filter(sliding_24h(now_ms // 1_000))
    expected = features(tiles, now_ms).select("user_id", *FEATURES)
    found = read(expected["user_id"].to_list()).cast(expected.schema)  # nulls alone have no type
    pairs = zip(expected.iter_rows(), found.iter_rows(), strict=True)
    return [f"log    {log}\nstored {stored}" for log, stored in pairs if log != stored]


@topics.available_services()
def report(compare: Callable[[], list[str]] = differences) -> None:
    """Print up to ten differences. Raises UserError when there is one."""
    if lines := compare():
        print(*lines[:10], sep="\n")
        raise UserError(f"{len(lines)} differences from the log")
    print("Everything equals a recomputation of the log")


if __name__ == "__main__":
    run_script(report)
