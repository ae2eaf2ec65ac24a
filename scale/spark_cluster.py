"""A standalone Spark cluster as processes on the loopback interface: one master, its workers."""

import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from lab.settings import ROOT, Settings, settings
from lab.stack.ports import free_port
from lab.stack.preflight import require_java
from lab.stack.service import Service


class SparkProcess(Service):
    """The master, or a worker with its executors, in a folder of its own."""

    name = "spark"

    def __init__(self, config: Settings, program: str, page: int, *options: str) -> None:
        """`page` is the port of the master's page."""
        super().__init__(config)
        self._program, self._page, self._options = program, page, options
        self._port = free_port()

    @property
    def ports(self) -> Mapping[str, int]:
        """Return the port of the other processes' connections to it."""
        return {"spark_port": self._port}

    def prepare(self) -> Sequence[str]:
        """Return the command; needs Java, and pyspark, which is a whole Spark."""
        require_java(needed_by="spark")
        spec = find_spec("pyspark")
        home = Path(spec.origin or "").parent if spec else Path()
        environment = {
            "SPARK_HOME": home,
            "SPARK_LOCAL_IP": self.config.host,
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": ROOT,
        }
        variables = [f"{name}={value}" for name, value in environment.items()]
        program = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{self._program}"]
        place = ["--host", self.config.host, "--port", str(self._port)]
        return ["env", *variables, *program, *place, *self._options]

    def answers(self) -> bool:
        """Return True if the master's page lists this process."""
        url = f"http://{self.config.host}:{self._page}/json/"
        try:
            with urllib.request.urlopen(url, timeout=self.config.socket_timeout_s) as answer:
                found = json.load(answer)
        except OSError:
            return False
        workers = {f"{worker['host']}:{worker['port']}" for worker in found["workers"]}
        return self.address in {*workers, found["url"].removeprefix("spark://")}

    def kill(self) -> None:
        """Kill it and its executors, as the loss of a machine does."""
        if process := self.pid_file.process():
            for victim in [process, *process.children(recursive=True)]:
                victim.kill()


@contextmanager
def spark_cluster(folder: Path, workers: int = 2) -> Iterator[tuple[str, list[SparkProcess]]]:
    """Yield the master's URL and the workers, of one core each."""
    page, configs = free_port(), []
    for number in range(workers + 1):
        configs.append(settings.model_copy(update={"stack_dir": folder / str(number)}))
    master = SparkProcess(configs[0], "master.Master", page, "--webui-port", str(page))
    url, started = f"spark://{master.address}", [master]
    for config in configs[1:]:
        size = ["--cores", "1", "--memory", "1g", "--webui-port", str(free_port())]
        files = ["--work-dir", str(config.stack_dir)]
        started.append(SparkProcess(config, "worker.Worker", page, *size, *files, url))
    with ExitStack() as running:
        for service in started:
            service.start()
            running.callback(service.stop)
        yield url, started[1:]
