"""An action that a thread repeats while a test does other things."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event


@contextmanager
def repeated(action: Callable[[], object]) -> Iterator[None]:
    """Repeat an action on a thread until the block ends; its error ends the test."""
    stopped = Event()

    def run() -> None:
        while not stopped.is_set():
            action()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run)
        try:
            yield
        finally:
            stopped.set()
        running.result()
