"""The sandbox of submissions' code: a forking server of children, and services of their own."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from checker.sandbox.folders import OURS, Folders, remove
from checker.sandbox.forking import ENGINE_THREADS, ForkingServer
from checker.sandbox.guard import free_on_disk, held_by
from checker.sandbox.process import Child
from checker.sandbox.redis import SandboxRedis
from checker.settings import CheckerSettings
from lab.stack.kafka import KafkaBroker
from lab.stack.ports import free_port
from lab.stack.process import PidFile, end

REDIS_MEMORY = "1gb"
SANDBOX = "lab-grade-"


@dataclass
class Sandbox:
    """A forking server and services, used by one submission after the other.

    With a network of their own the services have their usual ports, else free ones.
    """

    folders: Folders
    server: ForkingServer
    redis: SandboxRedis
    config: CheckerSettings
    packages: Sequence[Path] = ()
    own_network: bool = False
    _children: list[Child] = field(default_factory=list)
    _services: ExitStack = field(default_factory=ExitStack)

    @property
    def directory(self) -> Path:
        """The folder that submissions write."""
        return self.folders.scratch

    def child(
        self, *, cwd: Path, path: Sequence[Path], env: dict[str, str], log: Path, memory_bytes: int
    ) -> Child:
        """A fresh process in `cwd` that imports from `path` first."""
        start = {
            "cwd": str(cwd),
            "path": [str(folder) for folder in [*path, *self.packages]],
            "env": self.environment(env),
            "log": str(log),
            "memory_bytes": memory_bytes,
            "disk_bytes": int(self.config.disk_limit_gib * 2**30),
        }
        child = Child(self.server, start)
        self._children.append(child)
        return child

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """All that a process has that is given `env`; what it starts finds the packages too."""
        found = [env.get("PYTHONPATH", ""), *map(str, self.packages)]
        return {**self._environment(), **env, "PYTHONPATH": os.pathsep.join(filter(None, found))}

    def kafka(self) -> KafkaBroker:
        """A broker with nothing in it, for one submission: it ends with that one's processes."""
        ports = {
            "kafka_port": self.port(self.config.kafka_port),
            "kafka_controller_port": self.port(self.config.kafka_controller_port),
        }
        directory = Path(tempfile.mkdtemp(prefix="kafka-", dir=self.folders.ours))
        broker = KafkaBroker(self.config.model_copy(update={"stack_dir": directory, **ports}))
        self._services.callback(remove, directory)
        broker.start()
        self._services.callback(broker.stop)
        return broker

    def port(self, usual: int) -> int:
        """The port for a server: the usual one, or else a free one."""
        return usual if self.own_network else free_port()

    def trouble(self) -> str:
        """Return the failing probe of the grader itself; empty if none fails."""
        root, least = str(self.folders.root), self.config.stack_min_free_mb * 2**20
        free = free_on_disk(root)
        if free < least and free + held_by([root]) < least:
            return f"the disk of {root} has {free >> 20} MiB left, {least >> 20} are needed"
        if self.server.has_ended:
            return "the process that runs submissions has ended"
        return self.redis.trouble()

    def renew(self) -> None:
        """Begin as if no submission had been here: nothing of it runs or lies around."""
        self.close_children()
        self.redis.stop()
        shutil.rmtree(self.redis.directory)
        self.folders.empty()
        self.redis = _redis(self.config, self.folders, self.port(self.config.redis_port))

    def close_children(self) -> None:
        """End every process that a submission started, and what was started for it."""
        for child in self._children:
            child.close()
        self._children.clear()
        self.server.renew()
        self._services.close()

    def _environment(self) -> dict[str, str]:
        threads = {name: os.environ[name] for name in ENGINE_THREADS if name in os.environ}
        return {
            **threads,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.directory),
            "TMPDIR": str(self.folders.own_tmp),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "FEAST_USAGE": "False",
            "LAB_REDIS_PORT": str(self.redis.port),
            "LAB_BUILD_DIR": str(self.directory / "build"),
        }


@contextmanager
def sandbox(
    config: CheckerSettings, *, own_network: bool = False, within: Path | None = None
) -> Iterator[Sandbox]:
    """Start a server of children and a Redis of their own; both are gone at exit.

    Their files are in a new folder `within` another one, or in that for temporary files.
    """
    with ExitStack() as stack:
        folders = Folders(Path(tempfile.mkdtemp(prefix=SANDBOX, dir=within)))
        stack.callback(remove, folders.root)
        folders.make()
        server = ForkingServer(folders, config)
        stack.callback(server.close)
        redis = _redis(config, folders, config.redis_port if own_network else free_port())
        packages = [config.extra_packages] if config.extra_packages else []
        box = Sandbox(folders, server, redis, config, packages, own_network)
        stack.callback(lambda: box.redis.stop())
        stack.callback(box.close_children)
        yield box


def end_left_behind(folder: Path, config: CheckerSettings) -> None:
    """End the services of the sandboxes within a folder, of which the grader died."""
    for pid_file in folder.glob(f"{SANDBOX}*/{OURS}/*/*/*.pid"):
        service = PidFile(pid_file).process()
        if service is not None:
            end(service, config.stack_timeout_s)


def _redis(config: CheckerSettings, folders: Folders, port: int) -> SandboxRedis:
    """One with nothing in it."""
    directory = tempfile.mkdtemp(prefix="redis-", dir=folders.ours)
    private = {"stack_dir": Path(directory), "redis_port": port, "redis_maxmemory": REDIS_MEMORY}
    server = SandboxRedis(config.model_copy(update=private))
    server.start()
    return server
