"""Events of users whom nobody can know beforehand, and the right values that they give."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import numpy as np
import pandas as pd

VIEW = "user_streaming_features"
FIVE_MINUTES = (
    "transaction_count_5m",
    "total_amount_5m",
    "avg_amount_5m",
    "max_amount_5m",
    "declined_count_5m",
)
HOUR = ("transaction_count_1h", "avg_amount_1h")
COUNTS = ("transaction_count_5m", "transaction_count_1h")
FEATURES = (*FIVE_MINUTES, *HOUR)
MOST_CENTS = 100_000
MOST_EVENTS = 3  # of a user at once
LATER_AMOUNTS = 50.0, 7.25
ANY = -1  # what Kafka's client takes for no partition


@dataclass(frozen=True)
class Event:
    """A transaction as the brief's producer sends it; its user decides on the partition, or we."""

    user: str
    at: datetime
    amount: float
    is_approved: bool = True
    partition: int = ANY

    def packed(self) -> bytes:
        """The brief's JSON; its time in UTC, without a zone."""
        event = {
            "user_id": self.user,
            "merchant_id": "merchant_0",
            "amount": self.amount,
            "is_approved": self.is_approved,
            "event_time": self.at.replace(tzinfo=None).isoformat(timespec="milliseconds"),
            "transaction_id": uuid4().hex,
        }
        return json.dumps(event).encode()


def nonces(count: int) -> list[str]:
    """Return ids of users that were never seen before; they do not reveal their purpose."""
    return [f"user_{uuid4().hex}" for _ in range(count)]


def few(users: Iterable[str], at: datetime, partitions: int = 0) -> list[Event]:
    """Return one to three events for each user, the first declined and no two users alike."""
    return [
        Event(user, at, 60.25 + number + n, n > 0, number % partitions if partitions else ANY)
        for number, user in enumerate(users)
        for n in range(1 + number % MOST_EVENTS)
    ]


def later(earlier: Iterable[Event], at: datetime) -> list[Event]:
    """Return two events for each user of `few`: every feature differs between the two windows."""
    users = dict.fromkeys(event.user for event in earlier)
    return [Event(user, at, amount) for user in users for amount in LATER_AMOUNTS]


def drawn(
    random: np.random.Generator, users: Sequence[str], count: int, at: datetime
) -> list[Event]:
    """`count` events of one moment: users, amounts in cents, and one in ten declined."""
    chosen = random.integers(len(users), size=count)
    cents = random.integers(1, MOST_CENTS, size=count)
    approved = random.random(count) > 0.1
    return [
        Event(users[user], at, int(amount) / 100, bool(is_approved))
        for user, amount, is_approved in zip(chosen, cents, approved, strict=True)
    ]


def recount(events: Iterable[Event], earlier: Iterable[Event] = ()) -> pd.DataFrame:
    """A row per user of `events`, in order: the features.

    `events` are of one five minutes; `earlier` ones are of five before, and of the same hour.
    """
    events = list(events)
    now = _by_user(events).add_suffix("_5m")
    hour = _by_user([*earlier, *events]).add_suffix("_1h")
    return now.join(hour)[list(FEATURES)]


def _by_user(events: Iterable[Event]) -> pd.DataFrame:
    rows = pd.DataFrame(
        [(e.user, round(e.amount * 100), not e.is_approved) for e in events],
        columns=["user", "cents", "is_declined"],
    )
    by_user = rows.groupby("user")
    count, total = by_user.size(), by_user["cents"].sum() / 100
    return pd.DataFrame(
        {
            "transaction_count": count,
            "total_amount": total,
            "avg_amount": total / count,
            "max_amount": by_user["cents"].max() / 100,
            "declined_count": by_user["is_declined"].sum(),
        }
    )
