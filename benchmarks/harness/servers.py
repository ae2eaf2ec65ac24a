"""Servers under test: start, wait, measure, stop."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from lab.settings import settings

START_S = 120.0
STOP_S = 20.0
POLL_S = 1.0
IDLE_CPU_S = 0.1


@dataclass(frozen=True)
class HttpServer:
    """A server and its workers, and the path of its log."""

    name: str
    port: int
    process: psutil.Process
    log: Path

    @property
    def answers(self) -> bool:
        """Return True if it answers a request, with any status."""
        try:
            httpx.get(f"http://{settings.host}:{self.port}/", timeout=settings.socket_timeout_s)
        except httpx.TransportError:
            return False
        return True

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def memory_mib(self) -> float:
        """Return the resident memory of all its processes."""
        return sum(process.memory_info().rss for process in self._processes()) / 2**20

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def running(
    name: str, command: Sequence[str], port: int, environment: Mapping[str, str], log: Path
) -> Iterator[HttpServer]:
    """Run a server for the duration of the block; it may not answer yet."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=settings.root,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield HttpServer(name, port, psutil.Process(process.pid), log)
    finally:
        _stop(process)


def wait_for(servers: Sequence[HttpServer]) -> None:
    """Wait until all answer and are idle: one worker answers while another is still starting.

    Raises RuntimeError with the end of its log for one that does not.
    """
    deadline = time.monotonic() + START_S
    spent: dict[str, float] = {}
    waiting = list(servers)
    while waiting:
        for server in waiting:
            if time.monotonic() > deadline or not server.process.is_running():
                end = server.log.read_text()[-2_000:]
                raise RuntimeError(f"{server.name} did not start:\n{end}")
        before, spent = spent, {server.name: server.cpu_seconds() for server in waiting}
        busy = [s for s in waiting if spent[s.name] - before.get(s.name, 0) > IDLE_CPU_S]
        waiting = [server for server in waiting if server in busy or not server.answers]
        time.sleep(POLL_S if waiting else 0)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)
