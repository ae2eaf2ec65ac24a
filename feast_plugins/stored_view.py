"""Decode a view's fields in Redis: values, and the status of each value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

from feast_plugins.online_features import Status
from feast_plugins.redis_encoding import ColumnDecoder, Decoder, WrongType, decode_time

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredFeature:
    """A feature of a view; its value is in the reply's field number `place`."""

    name: str
    place: int
    decode: Decoder
    decode_all: ColumnDecoder
    default: object

    def read(
        self, stored: Sequence[bytes | None], states: Sequence[Status], here: Sequence[int]
    ) -> tuple[list[object], list[Status]]:
        """Return values and statuses, given each row's field and state; `here`: present rows."""
        if len(here) == len(states):
            return self._read_present(stored)
        values, statuses = self._read_present([stored[row] for row in here])
        return _spread(values, here, [self.default] * len(states)), _spread(statuses, here, states)

    def _read_present(self, stored: Sequence[bytes | None]) -> tuple[list[object], list[Status]]:
        """Do the same for rows that are present."""
        if (values := self._all_values(stored)) is not None:
            return values, [Status.PRESENT] * len(values)
        full = [row for row, content in enumerate(stored) if content]
        if (values := self._all_values([stored[row] for row in full])) is not None:
            holes = [Status.MISSING if content is None else Status.NULL for content in stored]
            statuses = _spread([Status.PRESENT] * len(values), full, holes)
            return _spread(values, full, [self.default] * len(stored)), statuses
        pairs = [self.read_one(content, Status.PRESENT) for content in stored]
        return [value for value, _ in pairs], [status for _, status in pairs]

    def _all_values(self, stored: Sequence[bytes | None]) -> list[object] | None:
        """Return the values where every row has one: the common case, and a fast path."""
        if None in stored:
            return None
        try:
            values = self.decode_all(cast(Sequence[bytes], stored))
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
        oldest = self._oldest(now)
        times = [decode_time(content) for content in stored]
        return times, [_status(time, oldest) for time in times]

    def row_state(self, stored: bytes | None, now: datetime) -> tuple[datetime | None, Status]:
        """Do the same for a single row."""
        time = decode_time(stored)
        return time, _status(time, self._oldest(now))

    def _oldest(self, now: datetime) -> datetime | None:
        return None if self.ttl is None else now - self.ttl


def _status(moment: datetime | None, oldest: datetime | None) -> Status:
    if moment is None:
        return Status.MISSING
    return Status.PRESENT if oldest is None or moment >= oldest else Status.EXPIRED


def _spread(some: Sequence[T], places: Sequence[int], others: Sequence[T]) -> list[T]:
    """Return the `others`, and at their positions the values of `some`."""
    spread = list(others)
    for place, one in zip(places, some, strict=True):
        spread[place] = one
    return spread
