"""Environment variables: a server by its address in place of its port, and what is wrong in one."""

import os
from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError

from lab.errors import UserError

# A server that the user runs, by the address that other tools take
ADDRESSES = {"LAB_REDIS_PORT": "LAB_REDIS_URL", "LAB_KAFKA_PORT": "LAB_KAFKA_BOOTSTRAP"}

OTHERS = ("LAB_ALERTMANAGER_URL", "LAB_UID")  # not read into the settings


def port_of(address: object) -> object:
    """Return the port of `redis://127.0.0.1:6379` or `127.0.0.1:9092`; a number is one already.

    Raises ValueError for a server that the exercises do not connect to.
    """
    text = str(address).strip()
    if text.lstrip("-").isdecimal():
        return text
    if ":" not in text:
        raise ValueError("a valid integer or an address such as 127.0.0.1:9092 is wanted")
    if "," in text:
        raise ValueError("one address of a server on this machine is wanted")
    url = urlsplit(text if "://" in text else f"//{text}")
    is_plain = url.scheme in ("redis", "plaintext", "") and url.path in ("", "/", "/0")
    if not is_plain or "@" in url.netloc or url.query:
        raise ValueError("the exercises connect without TLS, password and database number")
    if url.hostname not in ("127.0.0.1", "localhost"):
        host = url.hostname or "a missing host"
        raise ValueError(f"{host} is not 127.0.0.1; a tunnel brings its port here")
    if url.port is None and url.scheme != "redis":
        raise ValueError("the port is missing, as in 127.0.0.1:9092")
    return 6379 if url.port is None else url.port


Port = Annotated[int, BeforeValidator(port_of), Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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


def unknown_variables(fields: Collection[str]) -> list[str]:
    """Return a warning for each LAB_ variable that no field reads, with the nearest name."""
    known = {f"LAB_{field.upper()}" for field in fields} | {*ADDRESSES.values(), *OTHERS}
    return [
        f"{name} is no setting; the nearest is {get_close_matches(name, known, 1, cutoff=0)[0]}"
        for name in sorted(os.environ)
        if name.startswith("LAB_") and name.upper() not in known
    ]
