"""Logs as JSON lines; at INFO they hold no ids, no feature values, nothing of a body."""

import asyncio
import logging
import sys
import traceback
from datetime import UTC, datetime
from time import time
from typing import Any

import orjson

LOGGER = "exercise_04_serving"
FIELDS = "fields"  # attribute of a record with further fields
FLUSH_S = 0.5


class JsonLines(logging.Formatter):
    """Time, level, message, and the fields that were given."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = place_of(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def place_of(error: BaseException) -> str:
    """Return an error's type and stack, without its message, which may hold values."""
    frames = traceback.extract_tb(error.__traceback__)
    stack = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    return f"{type(error).__name__} at {stack}"


def log_error(request_id: bytes, error: Exception) -> None:
    """Log an unhandled error with the id of its request."""
    fields = {FIELDS: {"request_id": request_id.decode()}}
    logging.getLogger(LOGGER).error("not answered", exc_info=error, extra=fields)


class RequestLines:
    """One line for each response, written in blocks: one by one they cost a tenth of throughput.

    A killed worker loses the lines of its last FLUSH_S.
    """

    def __init__(self, block: int = 500) -> None:
        self._block = block
        self._pending: list[tuple[float, bytes, str, str, int, float]] = []

    def add(self, request_id: bytes, method: str, route: str, status: int, ms: float) -> None:
        """Buffer a line; write all when the block is full."""
        self._pending.append((time(), request_id, method, route, status, ms))
        if len(self._pending) >= self._block:
            self.flush()

    def flush(self) -> None:
        """Write the buffered lines."""
        lines = [
            orjson.dumps(
                {
                    "time": datetime.fromtimestamp(moment, UTC),
                    "level": "INFO",
                    "message": "request",
                    "request_id": request_id.decode(),
                    "method": method,
                    "route": route,
                    "status": status,
                    "ms": round(ms, 2),
                }
            ).decode()
            for moment, request_id, method, route, status, ms in self._pending
        ]
        self._pending.clear()
        if lines:
            print(*lines, sep="\n", flush=True)

    async def flush_regularly(self) -> None:
        """Flush every FLUSH_S, until cancelled."""
        while True:
            self.flush()
            await asyncio.sleep(FLUSH_S)


request_lines = RequestLines()


def log_to_stdout() -> None:
    """Send the records of the service, the reader and uvicorn to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    for name in (LOGGER, "feast_plugins", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
