"""A Flink cluster from PyFlink's own scripts: a JobManager, and TaskManagers that do the work."""

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from lab.settings import Settings, settings
from lab.stack.flink.connector import flink_home
from lab.stack.ports import free_port
from lab.stack.preflight import require_java
from lab.stack.service import Service

LOGGING = ("log4j-console.properties", "log4j.properties")


class JobManager(Service):
    """The JobManager: accepts jobs by its REST API, restarts them when a TaskManager ends."""

    name = "flink-jobmanager"

    @property
    def ports(self) -> Mapping[str, int]:
        """Return the ports of the REST API and of the TaskManagers."""
        return {
            "flink_rest_port": self.config.flink_rest_port,
            "flink_rpc_port": self.config.flink_rpc_port,
        }

    def prepare(self) -> Sequence[str]:
        """Return the command; needs Java."""
        return foreground("jobmanager", self.config, self.directory)

    def answers(self) -> bool:
        """Return True if the REST API answers."""
        return query_flink(self.config, "/overview") is not None


class TaskManager(Service):
    """A TaskManager, with its own folder and port."""

    name = "flink-taskmanager"

    def __init__(self, config: Settings, number: int) -> None:
        folder = config.stack_dir / f"{self.name}-{number}"
        super().__init__(config.model_copy(update={"stack_dir": folder}))
        self.id = f"taskmanager-{number}"
        self._port = free_port()

    @property
    def ports(self) -> Mapping[str, int]:
        """Return the port of the JobManager's connection to it."""
        return {"taskmanager_rpc_port": self._port}

    def prepare(self) -> Sequence[str]:
        """Return the command; needs Java."""
        own = {"taskmanager.resource-id": self.id, "taskmanager.rpc.port": self._port}
        options = [f"-D{name}={value}" for name, value in own.items()]
        return [*foreground("taskmanager", self.config, self.directory), *options]

    def answers(self) -> bool:
        """Return True if the JobManager has registered it."""
        known = query_flink(self.config, "/taskmanagers") or {}
        return any(found["id"] == self.id for found in known.get("taskmanagers", []))


class FlinkCluster:
    """One JobManager, and as many TaskManagers as the settings define."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.job_manager = JobManager(config)
        self.task_managers = [TaskManager(config, n) for n in range(config.flink_task_managers)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start all processes, and end them afterwards. Raises UserError."""
        with ExitStack() as undo:
            for service in (self.job_manager, *self.task_managers):
                service.start()
                undo.callback(service.stop)
            yield

    def query(self, path: str) -> Any:
        """Return the response of the REST API, None when it does not answer."""
        return query_flink(self.config, path)


@contextmanager
def private_flink(directory: Path) -> Iterator[FlinkCluster]:
    """Yield a cluster with its own ports and folders, for tests."""
    ports = {"flink_rest_port": free_port(), "flink_rpc_port": free_port()}
    cluster = FlinkCluster(settings.model_copy(update={"stack_dir": directory, **ports}))
    with cluster.running():
        yield cluster


def query_flink(config: Settings, path: str) -> Any:
    """Return a JSON response of the REST API, None when there is none in time."""
    url = f"{config.flink_rest_url}{path}"
    try:
        with urllib.request.urlopen(url, timeout=config.socket_timeout_s) as answer:
            return json.load(answer)
    except OSError:
        return None


def foreground(part: str, config: Settings, directory: Path) -> Sequence[str]:
    """Return the command that runs a part of Flink, with configuration and logs in `directory`."""
    require_java(needed_by="flink")
    home = flink_home()
    write_configuration(home, config, directory)
    environment = {
        "FLINK_HOME": home,
        "FLINK_CONF_DIR": directory,
        "FLINK_LOG_DIR": directory,
        "FLINK_PID_DIR": directory,
    }
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["env", *variables, "bash", str(home / "bin" / f"{part}.sh"), "start-foreground"]


def write_configuration(home: Path, config: Settings, directory: Path) -> None:
    """Write config.yaml and the log's settings; Java opens the packages that Flink ships."""
    shipped = yaml.safe_load((home / "conf" / "config.yaml").read_text())
    options = {
        "env": shipped["env"],
        "jobmanager.rpc.address": config.host,
        "jobmanager.rpc.port": config.flink_rpc_port,
        "jobmanager.bind-host": config.host,
        "jobmanager.memory.process.size": "1g",
        "rest.address": config.host,
        "rest.bind-address": config.host,
        "rest.port": config.flink_rest_port,
        "taskmanager.host": config.host,
        "taskmanager.bind-host": config.host,
        "taskmanager.memory.process.size": "1536m",
        # The work of one TaskManager fits on the others after it ends.
        "taskmanager.numberOfTaskSlots": config.flink_parallelism,
        "heartbeat.interval": "1 s",
        "heartbeat.timeout": "5 s",
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(options))
    for name in LOGGING:
        (directory / name).write_bytes((home / "conf" / name).read_bytes())
