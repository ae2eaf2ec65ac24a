"""The total memory of all processes that a call starts."""

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

EVERY_S = 0.5


class PeakOfTree:
    """Peak memory of this process's descendants together, during the block.

    It is their proportional set size: a page that forked processes share counts once.
    """

    def __init__(self) -> None:
        self.gib = 0.0
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.gib = max(self.gib, gib_of_descendants())


def gib_of_descendants() -> float:
    """Return the present memory of this process's descendants."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / 2**30
