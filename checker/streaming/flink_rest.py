"""Jobs, and the offsets that their sources have read, from Flink's REST API."""

import http.client
import json
import re
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lab.settings import LOOPBACK

REST_TIMEOUT_S = 2
OVERVIEW = "/jobs/overview"
METRICS = "/jobs/{job}/vertices/{vertex}/subtasks/metrics"
# A metric of Flink's Kafka source, whatever the operator and the source are called.
OFFSET = re.compile(r"\.KafkaSourceReader\.topic\.(.+)\.partition\.\d+\.currentOffset$")


@dataclass(frozen=True)
class Job:
    """A job in Flink's REST API; the time of its last restart, in ms since 1970, or 0."""

    id: str
    state: str
    all_tasks_run: bool
    restarted_ms: int

    @property
    def has_ended(self) -> bool:
        return self.state in ("FINISHED", "FAILED", "CANCELED")


def answers(port: int) -> bool:
    """Return whether there is a REST API at a port."""
    return _get(port, OVERVIEW) is not None


def jobs_at(port: int) -> list[Job]:
    """Return the jobs at a port; none where nothing answers."""
    return [_job(answer) for answer in _details(port)]


def _details(port: int) -> list[dict[str, Any]]:
    listed = _get(port, OVERVIEW) or {}
    found = [_get(port, f"/jobs/{job['jid']}") for job in listed.get("jobs", [])]
    return [job for job in found if job is not None]


def offsets_at(port: int, topic: str) -> list[float]:
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
