"""A Flink for a submission's job, and what its JVM tells of the jobs in it."""

import http.client
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from checker.sandbox.process import Child
from checker.settings import CheckerSettings
from lab.settings import LOOPBACK
from lab.stack.flink.connector import connector_jars, flink_home

REST_TIMEOUT_S = 2
OVERVIEW = "/jobs/overview"
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
    """The Flink in a child's processes; which of its ports is REST is found by asking."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._known: set[int] = set()

    def jvms(self) -> list[psutil.Process]:
        """The Java processes that run Flink."""
        return [process for process in self._child.processes() if _runs_flink(process)]

    def jobs(self) -> list[Job]:
        """The jobs of all its clusters; one within the script's own JVM has a REST API, too."""
        return [
            job for jvm in self.jvms() for port in self._rest_ports(jvm) for job in _jobs_at(port)
        ]

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


def _runs_flink(process: psutil.Process) -> bool:
    try:
        return process.name() == "java" and "flink" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _jobs_at(port: int) -> list[Job]:
    listed = _get(port, OVERVIEW) or {}
    found = [_get(port, f"/jobs/{job['jid']}") for job in listed.get("jobs", [])]
    return [_job(job) for job in found if job is not None]


def _job(answer: dict[str, Any]) -> Job:
    return Job(
        answer["jid"],
        answer["state"],
        all(vertex["status"] in ("RUNNING", "FINISHED") for vertex in answer["vertices"]),
        answer["timestamps"].get("RESTARTING", 0),
    )


def _get(port: int, path: str) -> dict[str, Any] | None:
    """The JSON object at a path; None where the port speaks something else, or is gone."""
    try:
        url = f"http://{LOOPBACK}:{port}{path}"
        with urllib.request.urlopen(url, timeout=REST_TIMEOUT_S) as answer:
            found = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return found if isinstance(found, dict) else None
