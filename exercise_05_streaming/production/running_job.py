"""Watch a Flink job and stop it with a savepoint."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyflink.common.completable_future import CompletableFuture
from pyflink.java_gateway import get_gateway
from pyflink.table import TableResult

from exercise_05_streaming.progress import LOGS, JobWatch, first_cause
from lab.errors import UserError
from lab.settings import settings
from lab.stack.flink.cluster import query_flink

ENDED = {"FAILED", "CANCELED", "FINISHED"}
POLL_S, CHECK_S = 0.02, 0.5
NEXT_STEP = f"less {LOGS}/*; with --fresh the log is read from its beginning"


class ClusterWatch(JobWatch):
    """The solution's watch, of a job that may run on a cluster: its failures are not in our log."""

    def cause_in_log(self) -> str:
        """Return the first cause of the newest failure."""
        found = query_flink(settings, f"/jobs/{self.job.get_job_id()}/exceptions") or {}
        newest = found.get("exceptionHistory", {}).get("entries", [])[:1]
        return first_cause(newest[0]["stacktrace"]) if newest else super().cause_in_log()


class RunningJob:
    """The job's state, and its end."""

    def __init__(self, result: TableResult) -> None:
        client = result.get_job_client()
        assert client is not None
        self._client, self._watch = client, ClusterWatch(client)
        self._next_check = 0.0
        self.id = str(client.get_job_id())

    def is_time_to_check(self) -> bool:
        """Return True twice a second."""
        is_time = time.monotonic() >= self._next_check
        if is_time:
            self._next_check = time.monotonic() + CHECK_S
        return is_time

    def require_running(self) -> None:
        """Raises UserError with Flink's reason once the job has ended."""
        if not self._watch.is_running():
            raise UserError(f"the Flink job has ended: {self._watch.cause_of_end()}", NEXT_STEP)

    def stop(self, folder: Path) -> str:
        """End the job with a savepoint in `folder`, and return its path."""
        return str(_result(self._stop_with_savepoint, f"file://{folder}"))

    def cancel(self) -> None:
        """End the job at once, if it has not ended; its last checkpoint stays."""
        with suppress(UserError):
            _result(self._client.cancel)

    def _stop_with_savepoint(self, folder: str) -> Any:
        """PyFlink's own method calls one that Flink 2 no longer has."""
        formats = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType
        client = self._client._j_job_client
        return CompletableFuture(client.stopWithSavepoint(False, folder, formats.NATIVE), str)


def _result(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a call. Raises UserError when Flink reports a failure or is too slow."""
    deadline = time.monotonic() + settings.flink_stop_timeout_s
    try:
        future = call(*arguments)
        while not future.done():
            if time.monotonic() > deadline:
                raise UserError("Flink did not answer in time", f"less {LOGS}/*")
            time.sleep(POLL_S)
        return future.result()
    except Py4JError as error:
        raise UserError(f"Flink failed: {first_cause(str(error))}", f"less {LOGS}/*") from error
