"""Run the writer as a child of the job, so that the job survives its end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.settings import settings

WRITER = "exercise_05_streaming.production.writer"


class WriterProcess:
    """Restart the writer when it ends, a bounded number of times; the job goes on without it."""

    def __init__(self) -> None:
        self._restarts = 0
        self._process = _start()

    def restart_if_ended(self) -> None:
        """Start the writer again if it has ended, or report that it is given up."""
        status = self._process.poll()
        if status is None or self._restarts > settings.writer_restarts:
            return
        self._restarts += 1
        if self._restarts > settings.writer_restarts:
            log(f"ended with {status}, once too often; the job goes on. Next: python -m {WRITER}")
        else:
            log(f"ended with {status}, and is restarted")
            self._process = _start()

    def stop(self) -> None:
        """End the writer, after a timeout by force."""
        self._process.terminate()
        try:
            self._process.wait(settings.socket_timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_writer() -> Iterator[WriterProcess]:
    """Run the writer for as long as the job runs."""
    writer = WriterProcess()
    try:
        yield writer
    finally:
        writer.stop()


def log(line: str) -> None:
    """Print a line of the job's log."""
    print(f"The writer to Redis {line}", file=sys.stderr, flush=True)


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", WRITER], stdin=subprocess.DEVNULL)
