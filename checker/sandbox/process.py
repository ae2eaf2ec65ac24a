"""One process of a submission as the grader sees it, and how values go in and come out."""

import json
import os
import re
import select
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from checker.sandbox import untrusted
from checker.sandbox.forking import ForkingServer, with_descendants
from checker.verdict.outcome import SubmissionError

LOG_TAIL_LINES = 12
ACCESS = re.compile(r'"[A-Z]+ \S+ HTTP/[\d.]+"')


class Child:
    """One process of a submission; it keeps what its files define until it is closed or dies."""

    def __init__(self, server: ForkingServer, start: dict[str, Any]) -> None:
        self.log = Path(start["log"])
        self._log_start = log_size(self.log)
        self.closed = False
        self._server = server
        self._socket = server.connect()
        self._lines = self._socket.makefile("rw", encoding="utf-8", errors="replace")
        self._pid = self._started(start)

    def ask(self, timeout_s: float, **request: Any) -> Any:
        """Send one request and return the value of its reply: a DataFrame, or what JSON can hold.

        Raises SubmissionError when the child raised, died, or took longer than `timeout_s` seconds.
        """
        out = self._server.folders.scratch / f"{uuid.uuid4().hex}.parquet"
        self._log_start = log_size(self.log)
        self._socket.settimeout(timeout_s)
        try:
            reply = self._ask({**request, "out": str(out)})
        except TimeoutError:
            self.close()
            raise self._error(f"no answer within {timeout_s:g} s") from None
        except OSError:
            self.close()
            raise self._error(self._fate()) from None
        if not reply.get("ok"):
            raise self._error(str(reply.get("error", "no answer")))
        return self._value(reply["value"], out) if "value" in reply else reply

    def tell(self, **request: Any) -> None:
        """Send a request that may take for ever, such as a server's command; nothing is awaited."""
        self._send(request)

    @property
    def has_ended(self) -> bool:
        """Return whether its command has ended, or the process died."""
        return self.closed or bool(select.select([self._socket], [], [], 0)[0])

    def log_tail(self) -> str:
        """The last lines printed since its last request."""
        return log_tail(self.log, self._log_start)

    def processes(self) -> list[psutil.Process]:
        """The process, everything in its session, and what it started in other ones."""
        in_session = [p for p in psutil.process_iter() if _session_of(p.pid) == self._pid]
        return list({*with_descendants(self._pid), *in_session})

    def close(self) -> None:
        """End the process, everything in its session, and what it started in other ones."""
        if self.closed:
            return
        self.closed = True
        self._socket.close()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _started(self, start: dict[str, Any]) -> int:
        """Its pid, once it has taken on where to run."""
        try:
            return self._server.pid_outside(self._ask(start)["pid"])
        except OSError:
            self.closed = True
            raise self._error(self._fate()) from None

    def _send(self, message: dict[str, Any]) -> None:
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._send(message)
        line = self._lines.readline(untrusted.LONGEST_LINE)
        if not line:
            raise ConnectionError
        try:
            return untrusted.reply(line)
        except SubmissionError as error:
            self.close()
            raise self._error(error.message) from None

    def _value(self, value: Any, out: Path) -> Any:
        """Return its result: the table that it should have written to `out`, or plain data."""
        if not isinstance(value, dict):
            raise self._error("an answer without a value")
        if "table" in value:
            return untrusted.table(out, self._server.folders.scratch)
        if "json" in value:
            return value["json"]
        kind = str(value.get("type"))
        raise self._error(f"returned a {kind}, which is neither a table nor plain data")

    def _fate(self) -> str:
        """Return the reason for a missing answer."""
        excess = self._server.reason()
        return f"ended: it took {excess}" if excess else "the process ended without an answer"

    def _error(self, message: str) -> SubmissionError:
        return SubmissionError(message, log_tail=self.log_tail())


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def log_size(log: Path) -> int:
    """Return the number of bytes that children have printed."""
    return log.stat().st_size if log.is_file() else 0


def log_tail(log: Path, since: int = 0) -> str:
    """The last lines that a child printed after `since` bytes, without a server's access log."""
    lines = untrusted.end_of(log, since).splitlines()
    return "\n".join([line for line in lines if not ACCESS.search(line)][-LOG_TAIL_LINES:])


def encoded(value: Any, scratch: Path) -> dict[str, Any]:
    """An argument as the child's `decode` takes it."""
    if isinstance(value, pd.DataFrame | pd.Series):
        path = scratch / f"{uuid.uuid4().hex}.parquet"
        pd.DataFrame(value).to_parquet(path, coerce_timestamps="us")
        return {"table" if isinstance(value, pd.DataFrame) else "series": str(path)}
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    return {"json": value}
