"""The writer to Redis as a child of the job: its death never stops the job."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import UserError
from lab.settings import settings

WRITER = "exercise_05_streaming.writer"


class WriterProcess:
    """Started anew when it dies, a bounded number of times."""

    def __init__(self) -> None:
        self._restarts = 0
        self._process = _start()

    def look_after(self) -> None:
        """Start it again if it has ended; UserError when that has happened too often."""
        status = self._process.poll()
        if status is None:
            return
        if self._restarts == settings.writer_restarts:
            raise UserError(
                f"the writer to Redis has ended {self._restarts + 1} times, last with {status}",
                f"python -m {WRITER}",
            )
        self._restarts += 1
        print(f"the writer to Redis ended with {status}: it is started again", file=sys.stderr)
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


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", WRITER], stdin=subprocess.DEVNULL)
