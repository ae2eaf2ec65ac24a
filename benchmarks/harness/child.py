"""Run work in a process of its own, so that its memory is that of the work alone."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec

from benchmarks.harness.timing import seconds

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True)
class Cost:
    """Cost of the work: wall-clock seconds, and the process's peak resident memory in GiB."""

    seconds: float
    peak_gib: float


def in_child(
    work: Callable[Arguments, object], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Cost:
    """Run a module's function in a new process, imports included in its memory."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=_be_quiet) as pool:
        return pool.submit(_cost, work, args, kwargs).result()


def _be_quiet() -> None:
    """Turn off DuckDB's progress bars: it takes a spawned process for an interactive one."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _cost(work: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> Cost:
    taken = seconds(lambda: work(*args, **kwargs))
    return Cost(taken, peak_gib())


def peak_gib(pid: int | None = None) -> float:
    """Return the peak of a process in GiB, by default of this one.

    Not getrusage's peak, which begins with that of the parent process.
    """
    lines = Path(f"/proc/{pid or 'self'}/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib / 2**20
