"""Transaction events as a shop would send them: skewed, and some late, sent twice, or malformed.

The same traffic and the same clock give the same records: tests, drills and benchmarks draw here.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from random import Random
from typing import Any
from uuid import uuid4

from lab.errors import UserError
from lab.settings import settings, utc_now

RECENT = 1_000  # a duplicate repeats one of so many records
FAR_FUTURE = timedelta(days=1)
CENTS = (1_000, 100_000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Event = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """What is sent to Kafka: key, value, and the record's own time, in ms since 1970.

    `fault` says what is wrong with a malformed event; nothing is sent of it.
    """

    key: bytes
    value: bytes
    timestamp_ms: int
    fault: str | None = None


@dataclass(frozen=True)
class Traffic:
    """How events are drawn. Shares are of all records; the rest is on time and right.

    The user of rank r comes in proportion to 1 / r**skew. Late events are up to `late_by_s` behind.
    `run` begins each transaction_id: another run's events are other transactions.
    """

    users: int = 100
    merchants: int = 50
    skew: float = 1.0
    declined: float = 0.05
    late: float = 0.0
    late_by_s: float = 30.0
    duplicates: float = 0.0
    malformed: float = 0.0
    seed: int = settings.seed
    run: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        shares = (self.late, self.duplicates, self.malformed)
        if min(shares) < 0 or sum(shares) > 1:
            raise UserError(
                "late, duplicate and malformed events are shares of all: from 0, at most 1 together"
            )


def records(traffic: Traffic, clock: Callable[[], datetime] = utc_now) -> Iterator[Record]:
    """Records without end; `clock` is read once for each, and gives its time, in UTC."""
    random = Random(traffic.seed)
    recent: deque[Record] = deque(maxlen=RECENT)
    for event in _events(traffic, random, clock):
        now = datetime.fromisoformat(event["event_time"])
        draw = random.random()
        if draw < traffic.duplicates and recent:
            repeated = random.choice(recent)
            yield Record(repeated.key, repeated.value, milliseconds(now))
            continue
        draw -= traffic.duplicates
        if 0 <= draw < traffic.malformed:
            yield _malformed(event, now, random)
            continue
        draw -= traffic.malformed
        if 0 <= draw < traffic.late:
            late_by = timedelta(seconds=random.uniform(0, traffic.late_by_s))
            event["event_time"] = iso(now - late_by)
        recent.append(Record(key_of(event), packed(event), milliseconds(now)))
        yield recent[-1]


def _events(traffic: Traffic, random: Random, clock: Callable[[], datetime]) -> Iterator[Event]:
    """Right events, each at the moment at which it is drawn."""
    users = [f"user_{number}" for number in range(traffic.users)]
    weights = list(accumulate((rank + 1) ** -traffic.skew for rank in range(traffic.users)))
    for number in count():
        yield {
            "user_id": random.choices(users, cum_weights=weights)[0],
            "merchant_id": f"merchant_{random.randrange(traffic.merchants)}",
            "amount": random.randint(*CENTS) / 100,
            "is_approved": random.random() >= traffic.declined,
            "event_time": iso(clock()),
            "transaction_id": f"{traffic.run}-{number}",
        }


FAULTS: dict[str, Callable[[Event], bytes]] = {
    "not_json": lambda event: packed(event)[:-1],
    "missing_field": lambda event: packed({k: v for k, v in event.items() if k != "amount"}),
    "null_user": lambda event: packed({**event, "user_id": None}),
    "nan_amount": lambda event: packed({**event, "amount": float("nan")}),
    "negative_amount": lambda event: packed({**event, "amount": -event["amount"]}),
    "far_future": lambda event: packed(
        {**event, "event_time": iso(datetime.fromisoformat(event["event_time"]) + FAR_FUTURE)}
    ),
}


def _malformed(event: Event, now: datetime, random: Random) -> Record:
    fault = random.choice(list(FAULTS))
    return Record(key_of(event), FAULTS[fault](event), milliseconds(now), fault)


def packed(event: Event) -> bytes:
    """The event as JSON."""
    return json.dumps(event, separators=(",", ":")).encode()


def key_of(event: Event) -> bytes:
    """A user's events keep their order: they have one key, and so one partition."""
    return str(event["user_id"]).encode()


def iso(moment: datetime) -> str:
    """A moment in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
