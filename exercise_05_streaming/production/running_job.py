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

from lab.errors import UserError
from lab.settings import settings

ENDED = {"FAILED", "CANCELED", "FINISHED"}
POLL_S, CHECK_S = 0.02, 0.5
LOGS = settings.build_dir / "flink" / "log"


class RunningJob:
    """The job's state, and its end."""

    def __init__(self, result: TableResult) -> None:
        client = result.get_job_client()
        assert client is not None
        self._client = client
        self._next_check = 0.0
        self.id = str(client.get_job_id())

    def require_running(self) -> None:
        """Check the job twice a second. Raises UserError with Flink's reason once it has ended."""
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + CHECK_S
        state = str(_result(self._client.get_job_status).name)
        if state in ENDED:
            next_step = f"less {LOGS}/*; with --fresh the log is read from its beginning"
            raise UserError(f"the Flink job has ended as {state}: {self._cause()}", next_step)

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

    def _cause(self) -> str:
        try:
            _result(self._client.get_job_execution_result)
        except UserError as error:
            return error.problem
        return "no failure"


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
        # The last cause of a Java exception is the first thing that went wrong.
        causes = [line for line in str(error).splitlines() if line.startswith("Caused by: ")]
        cause = causes[-1].removeprefix("Caused by: ") if causes else str(error)
        raise UserError(f"Flink failed: {cause}", f"less {LOGS}/*") from error
