"""Measure two sides in turn, so that other load on the machine affects both."""

import time
from collections.abc import Callable, Mapping
from statistics import median
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


def alternate(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Return each side's median of `repeats`, measured in turn; the caller has warmed them up."""
    return {name: median(taken) for name, taken in alternated(sides, repeats).items()}
