"""Decode a view's fields in Redis: values, and the status of each value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from google.protobuf.message import DecodeError

from feast_plugins.online_features import Status
from feast_plugins.redis_encoding import Decoder, WrongType, decode_time


@dataclass(frozen=True, slots=True)
class StoredFeature:
    """A feature of a view; its value is in the reply's field number `place`."""

    name: str
    place: int
    decode: Decoder
    default: object

    def read(
        self, stored: Sequence[bytes | None], states: Sequence[Status]
    ) -> tuple[list[object], list[Status]]:
        """Return values and statuses, given each row's field and state."""
        if (values := self._all_values(stored, states)) is not None:
            return values, list(states)
        pairs = [self.read_one(*row) for row in zip(stored, states, strict=True)]
        return [value for value, _ in pairs], [status for _, status in pairs]

    def _all_values(
        self, stored: Sequence[bytes | None], states: Sequence[Status]
    ) -> list[object] | None:
        """Return the values where every row has one: the common case, and a fast path."""
        if None in stored or set(states) != {Status.PRESENT}:
            return None
        try:
            values = list(map(self.decode, cast(Sequence[bytes], stored)))
        except WrongType:
            return None
        return None if None in values else values

    def read_one(self, stored: bytes | None, status: Status) -> tuple[object, Status]:
        """Return value and status, given a row's field and the status of the row as a whole."""
        if status is not Status.PRESENT:
            return self.default, status
        if stored is None:
            return self.default, Status.MISSING
        try:
            value = self.decode(stored)
        except WrongType:
            return self.default, Status.WRONG_TYPE
        return (self.default, Status.NULL) if value is None else (value, Status.PRESENT)


@dataclass(frozen=True, slots=True)
class ViewRead:
    """A view's features; its event time is in the reply's field number `time_place`."""

    name: str
    time_place: int
    ttl: timedelta | None
    features: tuple[StoredFeature, ...]

    def row_states(
        self, stored: Sequence[bytes | None], now: datetime
    ) -> tuple[list[datetime | None], list[Status]]:
        """Return each row's event time, and whether the row is there and within its TTL."""
        times = [_time_of(content) for content in stored]
        return times, [self._status(time, now) for time in times]

    def row_state(self, stored: bytes | None, now: datetime) -> tuple[datetime | None, Status]:
        """Do the same for a single row."""
        time = _time_of(stored)
        return time, self._status(time, now)

    def _status(self, time: datetime | None, now: datetime) -> Status:
        if time is None:
            return Status.MISSING
        return Status.PRESENT if self.ttl is None or now - time <= self.ttl else Status.EXPIRED


def _time_of(stored: bytes | None) -> datetime | None:
    """Return a row's event time; a field that holds no time is a missing row."""
    try:
        return decode_time(stored)
    except (DecodeError, OverflowError):
        return None
