"""Change settings in a test by the environment, which is how a user changes them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest
from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from lab import learn
from lab.settings import Settings, settings


class PointSettings(Protocol):
    """The fixture `point_settings`: change settings until the test ends."""

    def __call__(self, **changes: object) -> None: ...


@contextmanager
def settings_in_force(**changes: object) -> Iterator[None]:
    """Change settings of this process and of the processes that it starts; None unsets one.

    A constant that a module computed at import, such as an address, keeps its value.
    """
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in changes:
                patch.delenv(_variable(name), raising=False)
            for name, value in variables(**changes).items():
                patch.setenv(name, value)
            _reload()
            assert {name: getattr(settings, name) for name in changes} == changes
            yield
    finally:
        _reload()


def variables(**changes: object) -> dict[str, str]:
    """Return the environment variables that change settings of another process."""
    given = {name: value for name, value in changes.items() if value is not None}
    return {_variable(name): _text(value) for name, value in given.items()}


def _reload() -> None:
    """Read the environment again, into the objects that every module has imported.

    `__init__` on an existing object is how pydantic-settings reloads in place.
    """
    learn.LearnerSettings.__init__(learn.settings)
    Settings.__init__(settings)


def _variable(name: str) -> str:
    return f"LAB_{name.upper()}"


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    plain = to_jsonable_python(value)
    return plain if isinstance(plain, str) else json.dumps(plain)
