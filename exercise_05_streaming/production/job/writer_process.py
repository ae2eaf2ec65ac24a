"""The writer to Redis as a child of the job: its death never stops the job."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.settings import settings

WRITER = "exercise_05_streaming.production.writer"


class WriterProcess:
    """Started anew when it dies, a bounded number of times; the job goes on without it."""

    def __init__(self) -> None:
        self._restarts = 0
        self._process = _start()

    def look_after(self) -> None:
        """Start it again if it has ended, or say that it is given up."""
        status = self._process.poll()
        if status is None or self._restarts > settings.writer_restarts:
            return
        self._restarts += 1
        if self._restarts > settings.writer_restarts:
            say(f"ended with {status}, once too often; tiles go on. Next: python -m {WRITER}")
        else:
            say(f"ended with {status}, and is started again")
            self._process = _start()

    def stop(self) -> None:
        """End it, by force if it does not go."""
        self._process.terminate()
        try:
            self._process.wait(settings.socket_timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_writer() -> Iterator[WriterProcess]:
    """The writer for as long as the job runs."""
    writer = WriterProcess()
    try:
        yield writer
    finally:
        writer.stop()


def say(what: str) -> None:
    """A line of the job's log."""
    print(f"the writer to Redis {what}", file=sys.stderr, flush=True)


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", WRITER], stdin=subprocess.DEVNULL)
