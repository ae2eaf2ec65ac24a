"""Environment variables: a server by its address in place of its port, and what is wrong in one."""

import os
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, ValidationError

from lab.errors import UserError

# A server that the user runs, by the address that other tools take
ADDRESSES = {"LAB_REDIS_PORT": "LAB_REDIS_URL", "LAB_KAFKA_PORT": "LAB_KAFKA_BOOTSTRAP"}


def port_of(address: object) -> object:
    """Return the port of `redis://127.0.0.1:6379` or `127.0.0.1:9092`; a number is one already.

    Raises ValueError for a server that the exercises do not connect to.
    """
    text = str(address)
    if ":" not in text:
        return address
    if "," in text:
        raise ValueError("one address of a server on this machine is wanted")
    url = urlsplit(text if "://" in text else f"//{text}")
    if url.scheme not in ("redis", "") or "@" in url.netloc or url.path not in ("", "/", "/0"):
        raise ValueError("the exercises connect without TLS, password and database number")
    if url.hostname not in ("127.0.0.1", "localhost"):
        raise ValueError(f"{url.hostname} is not 127.0.0.1; a tunnel brings its port here")
    if not url.scheme and url.port is None:
        raise ValueError("the port is missing, as in 127.0.0.1:9092")
    return url.port or 6379


Port = Annotated[int, BeforeValidator(port_of)]


def port_or_address(port: str) -> AliasChoices:
    """Return the variables that a port is read from; the first that is set counts."""
    return AliasChoices(port, ADDRESSES[port])


def wrong_variable(error: ValidationError) -> UserError:
    """Return the error of the first wrong LAB_ variable, without its value: it may be a secret."""
    first = error.errors()[0]
    variable = f"LAB_{str(first['loc'][0]).upper().removeprefix('LAB_')}"
    if variable not in os.environ:
        variable = ADDRESSES.get(variable, variable)
    reason = first["msg"].removeprefix("Value error, ")
    return UserError(f"{variable} has a wrong value: {reason}", f"unset {variable}")
