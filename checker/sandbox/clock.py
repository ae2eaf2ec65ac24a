"""A clock that is ahead, for a call in a process of its own: what a later run would do."""

import ctypes
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any


@contextmanager
def clock_ahead(seconds: float) -> Iterator[None]:
    """Let datetime and time.time be ahead, for code that holds on to these objects, too.

    A built-in type takes no attributes, so its methods are replaced where it holds them.
    """
    if not seconds:
        yield
        return
    real, real_ns = time.time, time.time_ns
    (methods,) = gc.get_referents(vars(datetime))

    def now(cls: type[datetime], tz: tzinfo | None = None) -> Any:
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls: type[datetime]) -> Any:
        return cls.utcfromtimestamp(time.time())

    before = {name: methods[name] for name in ("now", "utcnow")}
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    try:
        _replace(methods, {"now": classmethod(now), "utcnow": classmethod(utcnow)})
        yield
    finally:
        time.time, time.time_ns = real, real_ns
        _replace(methods, before)


def _replace(methods: dict[str, Any], new: dict[str, Any]) -> None:
    methods.update(new)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))  # it caches what it has looked up
