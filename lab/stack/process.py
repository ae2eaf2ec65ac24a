"""Processes that outlive the tool; a pid file identifies them again."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LAUNCHER = Path(__file__).with_name("launch.py")
TICK_S = 0.01  # start times are whole ticks


@dataclass(frozen=True)
class PidFile:
    """Record of a running service: pid, start time and port."""

    path: Path

    def process(self) -> psutil.Process | None:
        """Return the process of the record; None if it has ended, even if its pid is reused.

        A record that a crash of the machine left empty or damaged is none.
        """
        if not self.path.exists():
            return None
        try:
            record = json.loads(self.path.read_text())
            process = psutil.Process(record["pid"])
            same = abs(started_after_boot_s(process) - record["started"]) < 2 * TICK_S
        except (psutil.NoSuchProcess, ValueError, TypeError, KeyError):
            return None
        return process if same else None

    def port(self) -> int:
        """Return the port that the service was started with."""
        return int(json.loads(self.path.read_text())["port"])

    def remove(self) -> None:
        """Delete the record."""
        self.path.unlink(missing_ok=True)


def spawn(command: Sequence[str], pid_file: PidFile, port: int, log: Path) -> psutil.Process:
    """Start a command in a session of its own; it writes its pid file itself."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        launcher = [sys.executable, "-P", str(LAUNCHER), str(pid_file.path), str(port)]
        # Not Popen: that object complains when it is dropped while the process lives.
        pid = os.posix_spawn(
            sys.executable,
            [*launcher, *command],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
        )
    finally:
        os.close(output)
    return psutil.Process(pid)


def started_after_boot_s(process: psutil.Process) -> float:
    """Return the seconds from boot to a process's start; the wall clock may be set meanwhile."""
    return float(process.create_time() - psutil.boot_time())


def is_alive(process: psutil.Process) -> bool:
    """Return True if the process runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end(process: psutil.Process, timeout_s: float) -> None:
    """End the process, by force after `timeout_s`, and reap it if it is a child."""
    try:
        process.terminate()
        process.wait(timeout_s)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(timeout_s)
    except psutil.NoSuchProcess:
        return
