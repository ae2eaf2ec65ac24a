"""Where submissions' code runs: a forking server of children, and a Redis on a free port."""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from lab.grading.isolation import isolated
from lab.grading.outcome import SubmissionError
from lab.settings import Settings, settings
from lab.stack.kafka import KafkaBroker, private_kafka
from lab.stack.redis import RedisServer, private_redis

LOG_TAIL_LINES = 12
# How many threads OpenMP, Arrow, OpenBLAS and DuckDB take; given on to submissions where it is set.
ENGINE_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SLURM_CPUS_ON_NODE")
# Feast names a folder of its process there; the sandbox has not that folder.
FEASTS_METRICS = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


class Child:
    """One process of a submission; it keeps what its files define until it is closed or dies."""

    def __init__(self, server: Path, start: dict[str, Any], scratch: Path) -> None:
        self.log = Path(start["log"])
        self.closed = False
        self._scratch = scratch
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(server))
        self._socket.settimeout(settings.stack_timeout_s)
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        self._pid: int = self._ask(start)["pid"]

    def ask(self, timeout_s: float, **request: Any) -> Any:
        """Send one request and return the value of its reply: a DataFrame, or what JSON can hold.

        Raises SubmissionError when the child raised, died, or took longer than `timeout_s` seconds.
        """
        request["out"] = str(self._scratch / f"{uuid.uuid4().hex}.parquet")
        self._socket.settimeout(timeout_s)
        try:
            reply = self._ask(request)
        except TimeoutError:
            self.close()
            raise self._error(f"no answer within {timeout_s:g} s") from None
        except (ConnectionError, json.JSONDecodeError):
            self.close()
            raise self._error("the process ended without an answer") from None
        if not reply.get("ok"):
            raise self._error(str(reply.get("error", "no answer")))
        return _value(reply["value"]) if "value" in reply else reply

    def tell(self, **request: Any) -> None:
        """Send a request that may take for ever, such as a server's command; nothing is awaited."""
        self._send(request)

    @property
    def has_ended(self) -> bool:
        """Whether what it was told to do came to an end, or the process died."""
        return self.closed or bool(select.select([self._socket], [], [], 0)[0])

    def processes(self) -> list[psutil.Process]:
        """The process, everything in its session, and what it started in other ones."""
        in_session = [p for p in psutil.process_iter() if _session_of(p.pid) == self._pid]
        return list({*_with_descendants(self._pid), *in_session})

    def close(self) -> None:
        """End the process, everything in its session, and what it started in other ones."""
        if self.closed:
            return
        self.closed = True
        self._socket.close()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _send(self, message: dict[str, Any]) -> None:
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._send(message)
        line = self._lines.readline()
        if not line:
            raise ConnectionError
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _error(self, message: str) -> SubmissionError:
        return SubmissionError(message, log_tail=log_tail(self.log))


def _end(pid: int) -> None:
    """Kill a process and all that it started."""
    for process in _with_descendants(pid):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _with_descendants(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def log_tail(log: Path) -> str:
    """The last lines that a child printed."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_TAIL_LINES:])


def _value(value: dict[str, Any]) -> Any:
    if "table" in value:
        return pd.read_parquet(value["table"])
    if "json" in value:
        return value["json"]
    raise SubmissionError(f"returned a {value['type']}, which is neither a table nor plain data")


def encoded(value: Any, scratch: Path) -> dict[str, Any]:
    """An argument as the child's `decode` takes it."""
    if isinstance(value, pd.DataFrame | pd.Series):
        path = scratch / f"{uuid.uuid4().hex}.parquet"
        pd.DataFrame(value).to_parquet(path, coerce_timestamps="us")
        return {"table" if isinstance(value, pd.DataFrame) else "series": str(path)}
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    return {"json": value}


@dataclass
class Sandbox:
    """A forking server and a private Redis, used by one submission after the other."""

    directory: Path
    redis: RedisServer
    server: Path
    packages: Sequence[Path] = ()
    _children: list[Child] = field(default_factory=list)
    _services: ExitStack = field(default_factory=ExitStack)

    def child(
        self, *, cwd: Path, path: Sequence[Path], env: dict[str, str], log: Path, memory_bytes: int
    ) -> Child:
        """A fresh process in `cwd` that imports from `path` first."""
        start = {
            "cwd": str(cwd),
            "path": [str(folder) for folder in [*path, *self.packages]],
            "env": {**self._environment(), **self._with_packages(env)},
            "log": str(log),
            "memory_bytes": memory_bytes,
        }
        child = Child(self.server, start, self.directory)
        self._children.append(child)
        return child

    def _with_packages(self, env: dict[str, str]) -> dict[str, str]:
        """The environment, from which what is started finds the extra packages too."""
        found = [env.get("PYTHONPATH", ""), *map(str, self.packages)]
        return {**env, "PYTHONPATH": os.pathsep.join(filter(None, found))}

    def kafka(self) -> KafkaBroker:
        """A broker with nothing in it, for one submission: it ends with that one's processes."""
        directory = tempfile.mkdtemp(prefix="kafka-", dir=self.directory)
        return self._services.enter_context(private_kafka(Path(directory)))

    def close_children(self) -> None:
        """End every process that a submission started, and what was started for it."""
        for child in self._children:
            child.close()
        self._children.clear()
        self._services.close()

    def _environment(self) -> dict[str, str]:
        threads = {name: os.environ[name] for name in ENGINE_THREADS if name in os.environ}
        return {
            **threads,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "FEAST_USAGE": "False",
            "LAB_REDIS_PORT": str(self.redis.port),
            "LAB_BUILD_DIR": str(self.directory / "build"),
        }


@contextmanager
def sandbox(config: Settings = settings) -> Iterator[Sandbox]:
    """Start a server of children and a Redis of their own; both are gone at exit."""
    with tempfile.TemporaryDirectory(prefix="lab-grade-") as name:
        directory = Path(name)
        server = directory / "children.sock"
        command = [sys.executable, "-m", "lab.grading.child", str(server)]
        env = {**os.environ, "FEAST_USAGE": "False", "TZ": "UTC"}
        for name in FEASTS_METRICS:
            env.pop(name, None)
        process = subprocess.Popen(
            isolated(command, directory, config), stdin=subprocess.PIPE, env=env
        )
        try:
            with private_redis(directory / "redis", maxmemory="1gb") as redis:
                _wait_for(server, process)
                packages = [config.extra_packages] if config.extra_packages else []
                yield from _closing(Sandbox(directory, redis, server, packages))
        finally:
            _end(process.pid)
            process.wait()


def _closing(box: Sandbox) -> Iterator[Sandbox]:
    try:
        yield box
    finally:
        box.close_children()


def _wait_for(server: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server of children listens; its own crash is a bug of ours."""
    deadline = time.monotonic() + settings.import_timeout_s
    while not server.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the process that runs submissions did not start")
        time.sleep(0.02)
