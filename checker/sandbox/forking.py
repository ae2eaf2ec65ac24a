"""The grader's side of the child server: start it, request children, end it."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from checker.sandbox.folders import TEMPORARY, Folders
from checker.sandbox.guard import Guard
from checker.sandbox.isolation import isolated
from checker.settings import CheckerSettings

# How many threads OpenMP, Arrow, OpenBLAS and DuckDB take; given on to submissions where it is set.
ENGINE_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SLURM_CPUS_ON_NODE")
# What its programs need; the rest of the grader's environment may be secret.
KEPT = ("PATH", "PYTHONPATH", "JAVA_HOME", "LD_LIBRARY_PATH", *ENGINE_THREADS)
FIXED = {"LANG": "C.UTF-8", "TZ": "UTC", "FEAST_USAGE": "False"}
SWEEP_S = 30
CHUNK = 65_536


class ForkingServer:
    """The child server, isolated if the settings require it; it can be restarted after its end."""

    def __init__(self, folders: Folders, config: CheckerSettings) -> None:
        self.folders, self._config = folders, config
        self._path = folders.ours / "children.sock"
        self._said = b""
        self._process = self._started()
        folders.note_mounts()  # now: later on a submission's files lie there, too

    def connect(self) -> socket.socket:
        """A connection to a child of its own."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(self._config.stack_timeout_s)
        connection.connect(str(self._path))
        return connection

    def renew(self) -> None:
        """End all that was started in it, and restart it if that has ended it."""
        if not self._is_swept():
            self.close()
            self._process = self._started()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def reason(self) -> str:
        """Return why it has ended all its children since the last call; empty if it has not."""
        self._read(0)
        *lines, self._said = self._said.split(b"\n")
        return lines[-1].decode() if lines else ""

    def pid_outside(self, pid: int) -> int:
        """Return the pid here of a child whose own pid is `pid`."""
        for process in with_descendants(self._process.pid):
            outside: int = process.pid
            if _pids(outside)[-1] == pid:
                return outside
        return -1

    def close(self) -> None:
        """End it and all its children."""
        for process in with_descendants(self._process.pid):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _started(self) -> "subprocess.Popen[bytes]":
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._path))
            listener.listen()
            number = listener.fileno()
            limits = json.dumps(asdict(_guard(self.folders, self._config)))
            command = [sys.executable, "-m", "checker.sandbox.child_server", str(number), limits]
            kept = {name: os.environ[name] for name in KEPT if name in os.environ}
            process = subprocess.Popen(
                isolated(command, self.folders, self._config),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[number],
                env={**kept, **FIXED, "HOME": str(self.folders.scratch)},
            )
        self._process = process
        if not self._waited_for(b"ready\n", self._config.import_timeout_s):
            self.close()
            raise RuntimeError("the process that runs submissions did not start")
        return process

    def _is_swept(self) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"sweep\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return self._waited_for(b"swept\n", SWEEP_S)

    def _waited_for(self, word: bytes, timeout_s: float) -> bool:
        """Return whether it prints a word in time; earlier output is dropped."""
        deadline = time.monotonic() + timeout_s
        while word not in self._said:
            left_s = deadline - time.monotonic()
            if left_s < 0 or not self._read(left_s):
                return False
        self._said = b""
        return True

    def _read(self, timeout_s: float) -> bool:
        """Read its output, within a time; False when its output has ended."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            return False
        said = os.read(self._process.stdout.fileno(), CHUNK)
        self._said += said
        return bool(said)


def with_descendants(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, without those that left its process tree."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _pids(pid: int) -> list[int]:
    """Return the pids of a process, here and in its own namespaces, the innermost last."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return [int(word) for word in line.split()[1:]]
    return [pid]


def _guard(folders: Folders, config: CheckerSettings) -> Guard:
    is_apart = config.isolation in ("files", "full")
    return Guard(
        folders=[str(folders.scratch), str(TEMPORARY[0] if is_apart else folders.tmp)],
        processes=config.process_limit,
        threads=config.thread_limit,
        memory_bytes=int(config.memory_total_gib * 2**30),
        disk_bytes=int(config.disk_limit_gib * 2**30),
        files=config.disk_files,
        free_bytes=config.stack_min_free_mb * 2**20,
    )
