"""The connection string of Feast's store, and packed commands.

Commands are packed by hand: the client's own packing takes longer than Redis.
"""

import json
from collections.abc import Sequence
from typing import Any

import redis
from redis.connection import SSLConnection, parse_url

from feast_plugins.online_errors import RedisUnavailable

OWN = {  # the reader has its own timeouts and pool, retries once, and reads bytes
    *("socket_timeout", "socket_connect_timeout", "max_connections", "retry_on_timeout"),
    *("health_check_interval", "decode_responses"),
}


def pack_argument(argument: bytes) -> bytes:
    """Return a part of a command in Redis's protocol."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def pack(command: Sequence[bytes]) -> bytes:
    """Return a command in Redis's protocol."""
    arguments = [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]  # a call each is slow
    return b"*%d\r\n" % len(command) + b"".join(arguments)


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


def reader_options(connection_string: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Do the same for the reader, without OWN; a certificate's host name is checked by default.

    Raises RedisUnavailable, also for an option or a value that redis-py does not know.
    """
    try:
        nodes, given = connection_options(connection_string)
        options = {name: value for name, value in given.items() if name not in OWN}
        if "db" in options:
            options["db"] = int(options["db"])
        return nodes, _encrypted(options) if options.pop("ssl", False) else _plain(options)
    except (TypeError, ValueError, redis.RedisError) as error:
        raise RedisUnavailable(f"connection_string cannot be used: {error}") from error


def _encrypted(options: dict[str, Any]) -> dict[str, Any]:
    needed = options.get("ssl_cert_reqs", "required")
    options.setdefault("ssl_check_hostname", needed == "required")
    options["ssl_check_hostname"] &= needed != "none"
    redis.SSLConnection(**options)  # connects later
    return {**options, "ssl": True}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in options.items() if not name.startswith("ssl_")}
    redis.Connection(**options)
    return options
