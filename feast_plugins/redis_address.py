"""The address of a Redis, from the connection string of Feast's store, and its protocol.

Commands are packed by hand and hiredis parses the replies: the client's own packing and parsing
takes longer than Redis.
"""

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import hiredis
from redis.connection import SSLConnection, parse_url

from feast_plugins.online_errors import RedisUnavailable

OPTIONS = {"db", "username", "password", "ssl"}
TLS_OPTIONS = {
    *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_password"),
    *("ssl_cert_reqs", "ssl_check_hostname"),
}
IGNORED = {  # of redis-py's own sockets
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "retry_on_timeout"),
    *("health_check_interval", "max_connections", "client_name"),
}
VERIFICATION = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
    None: ssl.CERT_NONE,
}


def pack_argument(argument: bytes) -> bytes:
    """Return a part of a command in Redis's protocol."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def pack(command: Sequence[bytes]) -> bytes:
    """Return a command in Redis's protocol."""
    arguments = [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]  # a call each is slow
    return b"*%d\r\n" % len(command) + b"".join(arguments)


def parsed(reader: hiredis.Reader, received: bytes) -> Iterator[Any]:
    """Yield the replies that are complete; one may be a hiredis.ReplyError."""
    reader.feed(received)
    while (reply := reader.gets()) is not False:
        yield reply


def first_error(replies: Iterable[Any]) -> hiredis.ReplyError | None:
    """Return the first reply by which Redis rejects a command."""
    return next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)


def connection_options(connection_string: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Return the nodes and the options of "host:port,option=value,..." or of "rediss://...".

    Feast knows the first form only, in which a password cannot hold a comma. Raises ValueError.
    """
    if connection_string.startswith("unix://"):
        raise ValueError("a Unix socket is not supported; give host:port")
    if connection_string.startswith(("redis://", "rediss://")):
        options = parse_url(connection_string)
        is_encrypted = options.pop("connection_class", None) is SSLConnection
        node = options.pop("host", "localhost"), options.pop("port", 6379)
        return [node], {**options, **({"ssl": True} if is_encrypted else {})}
    parts = connection_string.split(",")
    pairs = [part.partition(":") for part in parts if "=" not in part]
    nodes = [(host, int(port or 6379)) for host, _, port in pairs]
    given = dict(part.split("=", 1) for part in parts if "=" in part)
    return nodes, {name: _option(name, text) for name, text in given.items()}


def _option(name: str, text: str) -> Any:
    """Return an option's value as Feast reads it; but a user and a password are always text."""
    if name in ("username", "password"):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False}.get(text, text)


@dataclass(frozen=True)
class RedisAddress:
    """A single Redis, and its credentials; `tls` are redis-py's options `ssl_...`, None: no TLS."""

    host: str
    port: int
    db: int = 0
    username: str = ""
    password: str = ""
    tls: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, connection_string: str) -> Self:
        """Read a connection string of Feast's store, or a URL; the reader has its own timeouts.

        Raises RedisUnavailable for several nodes, or an unknown option or value.
        """
        try:
            nodes, given = connection_options(connection_string)
            db = int(given.get("db", 0))
        except ValueError as error:
            raise RedisUnavailable(f"connection_string cannot be parsed: {error}") from error
        unknown = sorted(set(given) - OPTIONS - TLS_OPTIONS - IGNORED)
        if len(nodes) != 1 or unknown:
            raise RedisUnavailable(
                f"connection_string has {unknown or f'{len(nodes)} nodes'}: give one host:port, "
                f"and of its options only {', '.join(sorted(OPTIONS | TLS_OPTIONS))}"
            )
        if given.get("ssl_cert_reqs", "required") not in list(VERIFICATION):
            raise RedisUnavailable(
                f"connection_string has ssl_cert_reqs={given['ssl_cert_reqs']}: "
                "give required, optional or none"
            )
        user, password = str(given.get("username") or ""), str(given.get("password") or "")
        tls = {name: given[name] for name in TLS_OPTIONS & set(given)} if given.get("ssl") else None
        return cls(*nodes[0], db, user, password, tls)

    @property
    def greeting(self) -> tuple[bytes, int]:
        """Return the packed commands that begin a connection, and their number."""
        login = [part for part in ("AUTH", self.username, self.password) if part]
        commands = [login] if self.password else []
        commands += [["SELECT", str(self.db)]] if self.db else []
        packed = [pack([part.encode() for part in command]) for command in commands]
        return b"".join(packed), len(packed)

    @cached_property
    def security(self) -> ssl.SSLContext | None:
        """Return the connection's TLS context, None without TLS."""
        if self.tls is None:
            return None
        get = self.tls.get
        context = ssl.create_default_context(
            cafile=get("ssl_ca_certs"), capath=get("ssl_ca_path"), cadata=get("ssl_ca_data")
        )
        needed = get("ssl_cert_reqs", "required")
        is_checked = VERIFICATION[needed] != ssl.CERT_NONE
        context.check_hostname = is_checked and get("ssl_check_hostname", needed == "required")
        context.verify_mode = VERIFICATION[needed]
        if certificate := get("ssl_certfile"):
            context.load_cert_chain(certificate, get("ssl_keyfile"), get("ssl_password"))
        return context

    @property
    def place(self) -> str:
        """Return the name of this Redis in errors."""
        return f"Redis at {self.host}:{self.port}"
