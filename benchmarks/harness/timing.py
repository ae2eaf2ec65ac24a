"""Measure two sides in turn, so that other load on the machine affects both."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from lab.dataset.progress import track

T = TypeVar("T")


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of one run, in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def alternated(sides: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Return each side's measurements, taken in turn; the caller has warmed the sides up."""
    measures: dict[str, list[T]] = {name: [] for name in sides}
    for _ in track(range(repeats), " and ".join(sides)):
        for name, measure in sides.items():
            measures[name].append(measure())
    return measures


@contextmanager
def other_load() -> Iterator[None]:
    """Keep all processors busy for the duration of the block."""
    spin = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            process = stack.enter_context(subprocess.Popen(spin))
            stack.callback(process.kill)
        yield
