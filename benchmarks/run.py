"""Measure every family of figures, or the named ones: python -m benchmarks.run [pit …]"""

import pkgutil
import signal
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console

import benchmarks
from benchmarks.harness.figures import Figure, as_line, as_table, falls_short, read_required, save
from lab.errors import UserError
from lab.settings import settings

WIDTH = 130  # of the table, where no terminal has one
SOME_FALL_SHORT, USER_ERROR, STOPPED = 1, 2, 128 + signal.SIGTERM


def families() -> list[str]:
    """Return the modules of this folder that measure something."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    return [m.name for m in modules if not m.ispkg and m.name != "run"]


def figures_of(names: Sequence[str]) -> Iterable[Figure]:
    """Yield the figures of the named families, each as soon as it is measured."""
    unknown = sorted(set(names) - set(families()))
    if unknown:
        known = ", ".join(families())
        raise UserError(f"no benchmark is called {', '.join(unknown)}", f"choose from: {known}")
    for name in names or families():
        yield from import_module(f"benchmarks.{name}").measure()


def run(figures: Iterable[Figure], file: Path, console: Console) -> int:
    """Store and print the figures; the exit status is 0 if all are as required."""
    required, measured = read_required(), []
    for figure in figures:
        save(figure, file, required)
        measured.append(figure)
        console.print(as_line(figure), highlight=False, soft_wrap=True)
    console.print(as_table(measured, required))
    return SOME_FALL_SHORT if falls_short(measured, required) else 0


def main() -> int:
    """Measure and return the status; a wrong name prints one sentence, a signal cleans up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    try:
        console = Console(width=None if sys.stdout.isatty() else WIDTH)
        return run(figures_of(sys.argv[1:]), settings.build_dir / "bench.json", console)
    except UserError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False)
        return USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
