"""Waiting for what another process does."""

import time
from collections.abc import Callable

PATIENCE_S = 150  # on a machine that has other work


def eventually(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until it holds; the test fails when it does not in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
