"""A lock: only one command at a time changes the services of a folder."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import UserError

POLL_S = 0.1


@contextmanager
def locked(directory: Path, *, timeout_s: float) -> Iterator[None]:
    """Wait for the lock. The system frees it when the process ends, however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    with (directory / "lock").open("w") as lock:
        while not _acquired(lock.fileno()):
            if time.monotonic() > deadline:
                raise UserError(
                    f"another command has been busy in {directory} for {timeout_s:g} s",
                    "wait for it to end, then repeat the command",
                )
            time.sleep(POLL_S)
        yield


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
