"""Payments as a shop sends them: some late, repeated or malformed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from exercise_05_streaming.produce_events import MALFORMED
from lab.settings import utc_now

Record = tuple[str, str | bytes | None, int]  # the user, the event, Kafka's time in milliseconds
LATE, REPEATED, MALFORMED_SHARE = 0.2, 0.1, 0.1
RECENT = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """Return milliseconds, cut as `isoformat` cuts."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def payment(user: str, event_time: datetime, **fields: Any) -> dict[str, Any]:
    event_time_text = event_time.isoformat(timespec="milliseconds")
    right = {"user_id": user, "amount": 1, "is_approved": True, "event_time": event_time_text}
    return right | fields


def record(event: dict[str, Any], moment: datetime) -> Record:
    """Return the event as Kafka stores it at `moment`."""
    return event["user_id"], json.dumps(event), milliseconds(moment)


def traffic(seed: int, users: int = 100, late_by_s: float = 30) -> Iterator[Record]:
    """Yield payments of the present; a repeated one is one of the last thousand."""
    random = Random(seed)
    recent: list[Record] = []
    while True:
        now, kind = utc_now(), random.random()
        if recent and kind < REPEATED:
            user, value, _ = random.choice(recent[-RECENT:])
            yield user, value, milliseconds(now)
            continue
        late_by = timedelta(seconds=random.uniform(0, late_by_s) * (random.random() < LATE))
        event = payment(
            f"user_{random.randrange(users)}",
            now - late_by,
            amount=random.randint(1_000, 100_000) / 100,
            is_approved=random.random() > 0.05,
            transaction_id=f"{random.getrandbits(64):x}",
        )
        if kind > 1 - MALFORMED_SHARE:
            yield event["user_id"], random.choice(MALFORMED), milliseconds(now)
        else:
            recent.append(record(event, now))
            yield recent[-1]
