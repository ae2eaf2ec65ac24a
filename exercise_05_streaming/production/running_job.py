"""Watch a Flink job and stop it with a savepoint."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import UserError
from lab.settings import settings

if TYPE_CHECKING:
    from pyflink.table import TableResult

ENDED = {"FAILED", "CANCELED", "FINISHED"}
POLL_S = 0.1
LOGS = settings.build_dir / "flink" / "log"


class RunningJob:
    """The job's state, and its end."""

    def __init__(self, result: "TableResult") -> None:
        client = result.get_job_client()
        assert client is not None
        self._client = client
        self.id = str(client.get_job_id())

    def require_running(self) -> None:
        """Raises UserError with Flink's own reason once the job has ended."""
        state = self.state()
        if state in ENDED:
            raise UserError(
                f"the Flink job has ended as {state}: {self._cause()}",
                f"less {LOGS}/*; with --resume none the log is read from its beginning",
            )

    def state(self) -> str:
        """As Flink calls it: RUNNING, RESTARTING, FAILED and so on."""
        return str(_answer(self._client.get_job_status).name)

    def stop(self, folder: Path) -> str:
        """End it with a savepoint in `folder`; where that is. Nothing is lost if it fails."""
        return str(_answer(self._stop_with_savepoint, f"file://{folder}"))

    def cancel(self) -> None:
        """End it at once, if it has not ended; its last checkpoint stays."""
        with suppress(UserError):
            _answer(self._client.cancel)

    def _stop_with_savepoint(self, folder: str) -> Any:
        """PyFlink's own calls a method that Flink 2 no longer has."""
        from pyflink.common.completable_future import CompletableFuture
        from pyflink.java_gateway import get_gateway

        formats = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType
        client = self._client._j_job_client
        return CompletableFuture(client.stopWithSavepoint(False, folder, formats.NATIVE), str)

    def _cause(self) -> str:
        try:
            _answer(self._client.get_job_execution_result)
        except UserError as error:
            return error.problem
        return "it came to its end"


def _answer(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What Flink answers; UserError with its reason, or when it is late or gone."""
    from py4j.protocol import Py4JError

    deadline = time.monotonic() + settings.flink_stop_timeout_s
    try:
        future = ask(*arguments)
        while not future.done():
            if time.monotonic() > deadline:
                raise UserError("Flink did not answer in time", f"less {LOGS}/*")
            time.sleep(POLL_S)
        return future.result()
    except Py4JError as error:
        raise UserError(f"Flink says: {_root_cause(error)}", f"less {LOGS}/*") from error


def _root_cause(error: Exception) -> str:
    """The last cause of a Java exception, which is the first thing that went wrong."""
    causes = [line for line in str(error).splitlines() if line.startswith("Caused by: ")]
    return causes[-1].removeprefix("Caused by: ") if causes else str(error)
