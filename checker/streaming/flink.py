"""A Flink for a submission's job, and what its JVMs report of the jobs in them."""

import http.client
import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psutil

from checker.sandbox.process import Child
from checker.settings import CheckerSettings
from lab.settings import LOOPBACK
from lab.stack.flink.connector import connector_jars, flink_home

T = TypeVar("T")
REST_TIMEOUT_S = 2
STOPPED_WITHIN_S = 2
OVERVIEW = "/jobs/overview"
METRICS = "/jobs/{job}/vertices/{vertex}/subtasks/metrics"
# A metric of Flink's Kafka source, whatever the operator and the source are called.
OFFSET = re.compile(r"\.KafkaSourceReader\.topic\.(.+)\.partition\.\d+\.currentOffset$")
NOTHING_READ = -1.0
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


@dataclass(frozen=True)
class Job:
    """A job as Flink's REST API tells of it; when it was restarted last, in ms since 1970, or 0."""

    id: str
    state: str
    all_tasks_run: bool
    restarted_ms: int

    @property
    def has_ended(self) -> bool:
        return self.state in ("FINISHED", "FAILED", "CANCELED")


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
        return self._query(_jobs_at)

    def has_work(self) -> bool:
        """Whether it has a job that has not ended."""
        return not all(job.has_ended for job in self.jobs())

    def is_running(self) -> bool:
        """Whether it has a job with all its tasks, and none that has failed or is not yet there."""
        jobs = [job for job in self.jobs() if job.state != "FINISHED"]
        return bool(jobs) and all(job.state == "RUNNING" and job.all_tasks_run for job in jobs)

    def restarts(self) -> dict[str, int]:
        """When each job was restarted last."""
        return {job.id: job.restarted_ms for job in self.jobs()}

    def newest_offset(self, topic: str) -> float:
        """Return the highest offset of a topic that a job's source has read; -1 for none.

        Flink updates its metrics every 10 s.
        """
        return max(self._query(lambda port: _offsets(port, topic)), default=NOTHING_READ)

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
        # A port that does not answer is asked again: Flink listens before it can answer.
        found = ports & self._known or {port for port in ports if _get(port, OVERVIEW) is not None}
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
    program = Path(process.exe())
    is_installed = program.samefile(f"/proc/{process.pid}/exe")
    return program.name == "java" and is_installed and not program.is_relative_to(written)


def _jobs_at(port: int) -> list[Job]:
    return [_job(answer) for answer in _details(port)]


def _details(port: int) -> list[dict[str, Any]]:
    listed = _get(port, OVERVIEW) or {}
    found = [_get(port, f"/jobs/{job['jid']}") for job in listed.get("jobs", [])]
    return [job for job in found if job is not None]


def _offsets(port: int, topic: str) -> list[float]:
    """Return the newest offset of each partition of a topic that the jobs at a port have read."""
    found = []
    for job in _details(port):
        for vertex in job["vertices"]:
            path = METRICS.format(job=job["jid"], vertex=vertex["id"])
            named = [(metric["id"], OFFSET.search(metric["id"])) for metric in _list(port, path)]
            ids = [name for name, match in named if match and match[1] == topic]
            if ids:
                read = _list(port, f"{path}?get={quote(','.join(ids))}&agg=max")
                found += [float(metric["max"]) for metric in read]
    return found


def _job(answer: dict[str, Any]) -> Job:
    return Job(
        answer["jid"],
        answer["state"],
        all(vertex["status"] in ("RUNNING", "FINISHED") for vertex in answer["vertices"]),
        answer["timestamps"].get("RESTARTING", 0),
    )


def _get(port: int, path: str) -> dict[str, Any] | None:
    """Return the JSON object at a path; None where the port speaks something else, or is gone."""
    found = _json(port, path)
    return found if isinstance(found, dict) else None


def _list(port: int, path: str) -> list[Any]:
    found = _json(port, path)
    return found if isinstance(found, list) else []


def _json(port: int, path: str) -> Any:
    try:
        url = f"http://{LOOPBACK}:{port}{path}"
        with urllib.request.urlopen(url, timeout=REST_TIMEOUT_S) as answer:
            return json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None
