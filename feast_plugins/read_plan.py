"""A compiled feature service: the commands to Redis for some rows, and the decoding of replies.

Depends on Feast's layout but not on its objects; plan_compiler makes plans.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from feast_plugins.online_errors import OnlineReadError, RequestError
from feast_plugins.online_features import OnlineFeatures, Status
from feast_plugins.redis_address import pack_argument
from feast_plugins.redis_encoding import KeyLayout
from feast_plugins.stored_view import ViewRead

Rows = Mapping[str, Sequence[Any]]
Reply = Sequence[bytes | None]  # the fields in a command
Column = tuple[str, str]  # a view and its feature; of a request, "" and the column
REQUEST = ""


@dataclass(slots=True)
class Found:
    """Features of a request that are read so far, by column."""

    columns: dict[Column, list[object]]
    statuses: dict[Column, list[Status]] = field(default_factory=dict)
    event_times: dict[str, list[datetime | None]] = field(default_factory=dict)


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
        """Return the packed HMGET's bytes before the key's length, and those after the key."""
        head = b"*%d\r\n" % (len(self.fields) + 2) + pack_argument(b"HMGET") + b"$"
        return head, b"\r\n" + b"".join(pack_argument(field) for field in self.fields)

    def add_commands(self, columns: Rows, commands: dict[bytes, int]) -> list[int]:
        """Return the number of each row's command; add new commands to `commands`."""
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
        # An entity in many rows is decoded once.
        numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
        rows = [numbers[place] for place in places]
        columns = zip(*[replies[place] for place in numbers], strict=True)
        fields = list(columns) or [()] * len(self.fields)
        for view in self.views:
            times, states = view.row_states(fields[view.time_place], now)
            found.event_times[view.name] = [times[row] for row in rows]
            for feature in view.features:
                values, statuses = feature.read(fields[feature.place], states)
                column = view.name, feature.name
                found.columns[column] = [values[row] for row in rows]
                found.statuses[column] = [statuses[row] for row in rows]

    def _read_one(self, reply: Reply, now: datetime, found: Found) -> None:
        """Do the same for a single row, the most frequent read: no columns to go through."""
        for view in self.views:
            moment, state = view.row_state(reply[view.time_place], now)
            found.event_times[view.name] = [moment]
            for feature in view.features:
                value, status = feature.read_one(reply[feature.place], state)
                column = view.name, feature.name
                found.columns[column] = [value]
                found.statuses[column] = [status]


@dataclass(frozen=True, slots=True)
class OnDemandCall:
    """A function over columns, with each input's name, and the finisher of each output."""

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
class KeyRequest:
    """A request: its columns, its commands and their number; for each entity each row's command."""

    columns: Rows
    rows: int
    packed: bytes
    commands: int
    places: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The plan of a service's read; `outputs` maps the name of each feature to its column."""

    entities: tuple[EntityRead, ...]
    on_demand: tuple[OnDemandCall, ...]
    columns: tuple[str, ...]
    constants: Mapping[str, object]
    outputs: Mapping[str, Column]

    def request(self, rows: Rows) -> KeyRequest:
        """Return the commands for a request; raises RequestError."""
        columns, count = self._checked(rows)
        commands: dict[bytes, int] = {}
        places = [entity.add_commands(columns, commands) for entity in self.entities]
        return KeyRequest(columns, count, b"".join(commands), len(commands), places)

    def answer(
        self, request: KeyRequest, replies: Sequence[Reply], now: datetime
    ) -> OnlineFeatures:
        """Return the features of a request, given the replies to its commands."""
        found = Found({(REQUEST, name): list(values) for name, values in request.columns.items()})
        for entity, places in zip(self.entities, request.places, strict=True):
            entity.read(replies, places, now, found)
        for call in self.on_demand:
            call.run(request.rows, found)
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
