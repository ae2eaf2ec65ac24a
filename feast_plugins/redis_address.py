"""Where a Redis is, by the connection string of Feast's store, and how to talk to it.

Commands are packed by hand and replies parsed by hiredis: the client's own packing and parsing
takes longer than Redis.
"""

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import hiredis

from feast_plugins.online_errors import RedisTimeout, RedisUnavailable

OPTIONS = {"db", "username", "password", "ssl"}


def pack_argument(argument: bytes) -> bytes:
    """A part of a command in Redis's protocol."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def pack(command: Sequence[bytes]) -> bytes:
    """A command in Redis's protocol."""
    arguments = [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]  # a call each is slow
    return b"*%d\r\n" % len(command) + b"".join(arguments)


def parsed(reader: hiredis.Reader, received: bytes) -> Iterator[Any]:
    """The replies that are complete by now; one may be a hiredis.ReplyError."""
    reader.feed(received)
    while (reply := reader.gets()) is not False:
        yield reply


def first_error(replies: Iterable[Any]) -> hiredis.ReplyError | None:
    """The first reply by which Redis refuses a command."""
    return next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)


@dataclass(frozen=True)
class RedisAddress:
    """A single Redis, and what it wants to hear first."""

    host: str
    port: int
    db: int = 0
    username: str = ""
    password: str = ""
    is_encrypted: bool = False

    @classmethod
    def parse(cls, connection_string: str) -> Self:
        """Read "host:port,option=value,...".

        Raises RedisUnavailable for several nodes, or an option that is not known here.
        """
        parts = connection_string.split(",")
        nodes = [part for part in parts if "=" not in part]
        given = dict(part.split("=", 1) for part in parts if "=" in part)
        if len(nodes) != 1 or set(given) - OPTIONS:
            wrong = sorted(set(given) - OPTIONS) or f"{len(nodes)} nodes"
            raise RedisUnavailable(
                f"connection_string has {wrong}: give one host:port, and of its options only "
                f"{', '.join(sorted(OPTIONS))}"
            )
        host, _, port = nodes[0].partition(":")
        login = {name: given.get(name, "") for name in ("username", "password")}
        is_encrypted = given.get("ssl", "").lower() == "true"
        return cls(
            host, int(port or 6379), int(given.get("db", 0)), is_encrypted=is_encrypted, **login
        )

    @property
    def greeting(self) -> tuple[bytes, int]:
        """The packed commands that begin a connection, and how many they are."""
        login = [part for part in ("AUTH", self.username, self.password) if part]
        commands = [login] if self.password else []
        commands += [["SELECT", str(self.db)]] if self.db else []
        packed = [pack([part.encode() for part in command]) for command in commands]
        return b"".join(packed), len(packed)

    @property
    def security(self) -> ssl.SSLContext | None:
        """How a connection is encrypted, if it is."""
        return ssl.create_default_context() if self.is_encrypted else None

    @contextmanager
    def explained(self, timeout_s: float) -> Iterator[None]:
        """Turn what goes wrong on the network into one sentence that names this Redis.

        Raises RedisTimeout, RedisUnavailable.
        """
        place = f"Redis at {self.host}:{self.port}"
        try:
            yield
        except TimeoutError as error:
            raise RedisTimeout(f"{place} did not answer within {timeout_s:g} s") from error
        except (OSError, hiredis.HiredisError) as error:
            raise RedisUnavailable(f"{place} cannot be read: {error}") from error
