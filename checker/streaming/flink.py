"""A Flink for a submission's job, and what its JVMs report of the jobs in them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from checker.sandbox.process import Child
from checker.settings import CheckerSettings
from checker.streaming.flink_rest import Job, answers, jobs_at, offsets_at
from lab.stack.flink.connector import connector_jars, flink_home

T = TypeVar("T")
NOTHING_READ = -1.0
STOPPED_WITHIN_S = 2
PARTS = ("bin", "conf", "opt", "plugins")


def flink_with_connector(directory: Path, config: CheckerSettings) -> Path:
    """Flink as PyFlink brings it, with Kafka's connector among its libraries; made of links."""
    installed = flink_home()
    links = {directory / part: installed / part for part in PARTS}
    jars = [*(installed / "lib").glob("*.jar"), *connector_jars(config)]
    links |= {directory / "lib" / jar.name: jar for jar in jars}
    for folder in ("lib", "log"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for link, target in links.items():
        if not link.exists():
            link.symlink_to(target)
    return directory


class FlinkProcesses:
    """The Flink in a child's processes; which of its ports is REST is found by asking.

    A program below `written`, the folder that submissions write, is no Java, whatever its name.
    """

    def __init__(self, child: Child, written: Path) -> None:
        self._child = child
        self._written = written
        self._known: set[int] = set()

    def jvms(self) -> list[psutil.Process]:
        """The Java processes that run Flink."""
        found = self._child.processes()
        return [process for process in found if _runs_flink(process, self._written)]

    def jobs(self) -> list[Job]:
        """The jobs of all its clusters; one within the script's own JVM has a REST API, too."""
        return self._query(jobs_at)

    def has_work(self) -> bool:
        """Return whether it has a job that has not ended."""
        return not all(job.has_ended for job in self.jobs())

    def is_running(self) -> bool:
        """Return whether it has a job whose tasks are all present, and none has failed."""
        jobs = [job for job in self.jobs() if job.state != "FINISHED"]
        return bool(jobs) and all(job.state == "RUNNING" and job.all_tasks_run for job in jobs)

    def restarts(self) -> dict[str, int]:
        """Return the time of the last restart of each job."""
        return {job.id: job.restarted_ms for job in self.jobs()}

    def newest_offset(self, topic: str) -> float:
        """Return the highest offset of a topic that a job's source has read; -1 for none.

        Flink updates its metrics every 10 s.
        """
        return max(self._query(lambda port: offsets_at(port, topic)), default=NOTHING_READ)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop its JVMs, as SIGSTOP does, until the end of the block: nothing passes Flink."""
        stopped = self.jvms()
        try:
            for jvm in stopped:
                with suppress(psutil.NoSuchProcess):
                    jvm.suspend()
                    _await_status(jvm, psutil.STATUS_STOPPED)
            yield
        finally:
            for jvm in stopped:
                with suppress(psutil.NoSuchProcess):
                    jvm.resume()

    def _query(self, at: Callable[[int], list[T]]) -> list[T]:
        """Return what `at` finds at each REST port; nothing at one that speaks something else."""
        found: list[T] = []
        for jvm in self.jvms():
            for port in self._rest_ports(jvm):
                with suppress(KeyError, TypeError, ValueError, AttributeError):
                    found += at(port)
        return found

    def _rest_ports(self, jvm: psutil.Process) -> list[int]:
        try:
            connections = jvm.net_connections(kind="tcp")
        except psutil.Error:
            return []
        ports = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
        # A port that does not answer is queried again: Flink listens before it can answer.
        found = ports & self._known or {port for port in ports if answers(port)}
        self._known |= found
        return sorted(found)


def _await_status(process: psutil.Process, status: str) -> None:
    deadline = time.monotonic() + STOPPED_WITHIN_S
    while process.status() != status and time.monotonic() < deadline:
        time.sleep(0.01)


def _runs_flink(process: psutil.Process, written: Path) -> bool:
    try:
        return _is_java(process, written) and "flink" in " ".join(process.cmdline())
    except (psutil.Error, OSError):
        return False


def _is_java(process: psutil.Process, written: Path) -> bool:
    """Return whether a process executes a Java that was installed, not a copy with that name.

    The path is that within its namespace; out here it must name the same file.
    """
    program, executed = Path(process.exe()), Path(f"/proc/{process.pid}/exe")
    is_installed = not executed.exists() or program.samefile(executed)
    return program.name == "java" and is_installed and not program.is_relative_to(written)
