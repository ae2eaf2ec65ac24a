"""Watches which commands a Redis executes, by its MONITOR."""

import ast
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from redis.exceptions import ConnectionError as RedisConnectionError

from lab.stack.redis import RedisServer

LINE = re.compile(rb"^\+[\d.]+ \[(\d+) ([^ ]*)\] (.*)$")
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Command:
    """A client's command: the database, the command's name in capitals, its arguments."""

    database: int
    client: str
    name: str
    arguments: tuple[bytes, ...]


class Monitor:
    """The commands since each mark; only ours are marks, for others can read them too."""

    def __init__(self, redis: RedisServer, connection: socket.socket) -> None:
        self._client, self._lines = redis.client(), connection.makefile("rb")
        ours: Any = self._client.client_info()
        self._address: str = ours["addr"]
        self._token = uuid4().hex
        self._lines.readline()

    def mark(self) -> None:
        """Begin a new group of commands."""
        self._client.echo(self._token)

    def groups(self) -> list[list[Command]]:
        """The commands from each mark to the next; what came before the first is left out."""
        self._client.echo(f"{self._token} end")
        found: list[list[Command]] = [[]]
        for line in self._lines:
            command = _command(line)
            if command is None:
                continue
            if command.client != self._address:
                found[-1].append(command)
            elif command.arguments == (f"{self._token} end".encode(),):
                return found[1:]
            elif command.arguments == (self._token.encode(),):
                found.append([])
        raise RedisConnectionError("Redis closed the connection of its monitor")


@contextmanager
def monitored(redis: RedisServer) -> Iterator[Monitor]:
    """Watch every command of every client of `redis`."""
    address = (redis.config.host, redis.port)
    with socket.create_connection(address, redis.config.socket_timeout_s) as connection:
        connection.sendall(_sign_in(redis) + b"MONITOR\r\n")
        yield Monitor(redis, connection)


def _sign_in(redis: RedisServer) -> bytes:
    options = redis.client().connection_pool.connection_kwargs
    user, password = options.get("username"), options.get("password")
    return f"AUTH {user} {password}\r\n".encode() if password else b""


def _command(line: bytes) -> Command | None:
    match = LINE.match(line.rstrip(b"\r\n"))
    if match is None:
        return None
    name, *arguments = (_unescaped(word) for word in WORD.findall(match[3]))
    database, client = int(match[1]), match[2].decode(errors="replace")
    return Command(database, client, name.decode(errors="replace").upper(), tuple(arguments))


def _unescaped(word: bytes) -> bytes:
    """Redis escapes as Python's literals do."""
    value: bytes = ast.literal_eval(f'b"{word.decode("ascii")}"')
    return value
