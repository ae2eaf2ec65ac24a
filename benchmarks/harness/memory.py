"""The total memory of all processes that a call starts."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

import psutil

EVERY_S = 0.5


@dataclass
class Peak:
    """The most memory so far."""

    gib: float = 0.0


@contextmanager
def peak_of_descendants() -> Iterator[Peak]:
    """Measure the peak memory of this process's descendants together, during the block.

    It is their proportional set size: a page that forked processes share counts once.
    """
    peak, ended = Peak(), Event()

    def sample() -> None:
        while not ended.wait(EVERY_S):
            peak.gib = max(peak.gib, gib_of_descendants())

    sampler = Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        ended.set()
        sampler.join()


def gib_of_descendants() -> float:
    """Return the present memory of this process's descendants."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / 2**30
