"""A compiled feature service: what to ask Redis for some rows, and what its replies mean.

Knows Feast's layout and nothing of Feast's objects; plan_compiler makes plans.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar, cast

from feast_plugins.online_errors import OnlineReadError, RequestError
from feast_plugins.online_features import OnlineFeatures, Status
from feast_plugins.redis_address import pack_argument
from feast_plugins.redis_encoding import ColumnDecoder, Decoder, KeyLayout, WrongType, decode_time

Rows = Mapping[str, Sequence[object]]
Reply = Sequence[bytes | None]  # the fields that a command asked for
Column = tuple[str, str]  # a view and its feature; of a request, "" and the column
REQUEST = ""
T = TypeVar("T")


@dataclass(slots=True)
class Found:
    """What a request has so far, by column."""

    columns: dict[Column, list[object]]
    statuses: dict[Column, list[Status]] = field(default_factory=dict)
    event_times: dict[str, list[datetime | None]] = field(default_factory=dict)


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
        """Values and statuses, given each row's field and its state; `here` are those present."""
        if len(here) == len(states):
            return self._read_present(stored)
        values, statuses = self._read_present([stored[row] for row in here])
        return _spread(values, here, [self.default] * len(states)), _spread(statuses, here, states)

    def _read_present(self, stored: Sequence[bytes | None]) -> tuple[list[object], list[Status]]:
        """The same for rows that are present."""
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
        """The values where every row has one, which is the rule, and worth a way of its own."""
        if None in stored:
            return None
        try:
            values = self.decode_all(cast(Sequence[bytes], stored))
        except WrongType:
            return None
        return None if None in values else values

    def read_one(self, stored: bytes | None, status: Status) -> tuple[object, Status]:
        """Value and status, given a row's field and the status of the row as a whole."""
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

    def judge(
        self, stored: Sequence[bytes | None], now: datetime
    ) -> tuple[list[datetime | None], list[Status]]:
        """Each row's event time, and whether the row is there and within its TTL."""
        oldest = None if self.ttl is None else now - self.ttl
        times = [decode_time(content) for content in stored]
        return times, [_status(time, oldest) for time in times]


def _status(moment: datetime | None, oldest: datetime | None) -> Status:
    if moment is None:
        return Status.MISSING
    return Status.PRESENT if oldest is None or moment >= oldest else Status.EXPIRED


@dataclass(frozen=True)
class EntityRead:
    """Views that share an entity key: one command for each entity.

    `columns` are the request's columns of the layout's join keys, in its order.
    """

    columns: tuple[str, ...]
    layout: KeyLayout
    fields: tuple[bytes, ...]
    views: tuple[ViewRead, ...]

    @cached_property
    def _command(self) -> tuple[bytes, bytes]:
        """What stands before and after the key's length and the key in a packed HMGET."""
        head = b"*%d\r\n" % (len(self.fields) + 2) + pack_argument(b"HMGET") + b"$"
        return head, b"\r\n" + b"".join(pack_argument(field) for field in self.fields)

    def ask(self, columns: Rows, commands: dict[bytes, int]) -> list[int]:
        """The number of each row's command, added to `commands` unless it is there already."""
        try:
            keys = self.layout.keys([columns[name] for name in self.columns])
        except ValueError as error:
            raise RequestError(f"columns {', '.join(self.columns)}: {error}") from error
        head, tail = self._command
        packed = [b"%b%d\r\n%b%b" % (head, len(key), key, tail) for key in keys]
        return [commands.setdefault(command, len(commands)) for command in packed]

    def read(
        self, replies: Sequence[Reply], places: Sequence[int], now: datetime, found: Found
    ) -> None:
        """Add the features of all views; `places` has the number of each row's reply."""
        if len(places) == 1:
            return self._read_one(replies[places[0]], now, found)
        # An entity that stands in many rows is decoded once.
        numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
        rows = [numbers[place] for place in places]
        fields = list(zip(*[replies[place] for place in numbers], strict=True))
        for view in self.views:
            times, states = view.judge(fields[view.time_place] if fields else (), now)
            found.event_times[view.name] = [times[row] for row in rows]
            here = [number for number, state in enumerate(states) if state is Status.PRESENT]
            for feature in view.features:
                stored = fields[feature.place] if fields else ()
                values, statuses = feature.read(stored, states, here)
                column = view.name, feature.name
                found.columns[column] = [values[row] for row in rows]
                found.statuses[column] = [statuses[row] for row in rows]

    def _read_one(self, reply: Reply, now: datetime, found: Found) -> None:
        """The same for a single row, the most frequent read: no columns to go through."""
        for view in self.views:
            moment = decode_time(reply[view.time_place])
            state = _status(moment, None if view.ttl is None else now - view.ttl)
            found.event_times[view.name] = [moment]
            for feature in view.features:
                value, status = feature.read_one(reply[feature.place], state)
                column = view.name, feature.name
                found.columns[column] = [value]
                found.statuses[column] = [status]


def _spread(some: Sequence[T], places: Sequence[int], others: Sequence[T]) -> list[T]:
    """The `others`, and in their places those of `some`."""
    spread = list(others)
    for place, one in zip(places, some, strict=True):
        spread[place] = one
    return spread


@dataclass(frozen=True, slots=True)
class OnDemandCall:
    """A function over columns: what it calls each input, and how each output is finished."""

    view: str
    function: Callable[[dict[str, Any]], dict[str, Any]]
    inputs: Mapping[str, Column]
    outputs: Mapping[str, Callable[[Sequence[object]], list[object]]]

    def run(self, rows: int, found: Found) -> None:
        """Add the view's features; raises OnlineReadError where the function gave no column."""
        inputs = {name: found.columns[column] for name, column in self.inputs.items()}
        produced = {**inputs, **self.function(inputs)}
        for name, finish in self.outputs.items():
            column = produced.get(name)
            if not isinstance(column, list) or len(column) != rows:
                raise OnlineReadError(
                    f"on-demand view {self.view} gave no list of {rows} values for {name}"
                )
            values = finish(column)
            found.columns[self.view, name] = values
            found.statuses[self.view, name] = [
                Status.NULL if value is None else Status.PRESENT for value in values
            ]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its columns, its packed commands, and for each entity each row's command."""

    plan: "ReadPlan"
    columns: Rows
    rows: int
    commands: tuple[bytes, ...]
    places: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How a service is read; `outputs` maps the name of each feature to its column."""

    entities: tuple[EntityRead, ...]
    on_demand: tuple[OnDemandCall, ...]
    columns: tuple[str, ...]
    constants: Mapping[str, object]
    outputs: Mapping[str, Column]

    def ask(self, rows: Rows) -> Asked:
        """The commands for a request; raises RequestError."""
        columns, count = self._checked(rows)
        commands: dict[bytes, int] = {}
        places = [entity.ask(columns, commands) for entity in self.entities]
        return Asked(self, columns, count, tuple(commands), places)

    def answer(self, asked: Asked, replies: Sequence[Reply], now: datetime) -> OnlineFeatures:
        """The features of a request, given the replies to its commands."""
        found = Found({(REQUEST, name): list(values) for name, values in asked.columns.items()})
        for entity, places in zip(self.entities, asked.places, strict=True):
            entity.read(replies, places, now, found)
        for call in self.on_demand:
            call.run(asked.rows, found)
        return OnlineFeatures(
            {name: found.columns[column] for name, column in self.outputs.items()},
            {name: found.statuses[column] for name, column in self.outputs.items()},
            found.event_times,
            self.outputs,
        )

    def _checked(self, rows: Rows) -> tuple[Rows, int]:
        missing = [name for name in self.columns if name not in rows]
        if missing:
            needed = ", ".join(self.columns)
            raise RequestError(f"the rows have no column {', '.join(missing)}: give {needed}")
        lengths = {name: len(values) for name, values in rows.items()}
        if len(set(lengths.values())) != 1:
            raise RequestError(f"the rows need columns of one length, and have {lengths}")
        count = next(iter(lengths.values()))
        columns = {name: rows[name] for name in self.columns}
        return {
            **columns,
            **{name: [value] * count for name, value in self.constants.items()},
        }, count
