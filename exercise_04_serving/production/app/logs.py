"""Logs as JSON, a line each; at INFO they hold no ids, no feature values, nothing of a body."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from time import time
from typing import Any

import orjson

from lab.errors import UserError

LOGGER = "exercise_04_serving"
FIELDS = "fields"  # what a record carries beside its message


class JsonLines(logging.Formatter):
    """Time, level, message, and the fields that were given."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "message": without_traceback(record.getMessage()),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = place_of(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def without_traceback(message: str) -> str:
    """Return the sentence of a user's mistake, of which the server logs a traceback as text."""
    before, _, sentence = message.rpartition(f"{UserError.__module__}.{UserError.__name__}: ")
    return sentence.strip() if before.startswith("Traceback") else message


def place_of(error: BaseException) -> str:
    """An error's type and the way to it, without its message, which may hold values."""
    frames = traceback.extract_tb(error.__traceback__)
    way = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    return f"{type(error).__name__} at {way}"


class RequestLines:
    """A line for each answered request, written in blocks: one by one they cost a tenth of it."""

    def __init__(self, block: int = 500) -> None:
        self._block = block
        self._waiting: list[tuple[float, bytes, str, str, int, float]] = []

    def add(self, request_id: bytes, method: str, route: str, status: int, ms: float) -> None:
        """Keep a line until the block is full, or until the next `write`."""
        self._waiting.append((time(), request_id, method, route, status, ms))
        if len(self._waiting) >= self._block:
            self.write()

    def write(self) -> None:
        """Write what is waiting."""
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
            for moment, request_id, method, route, status, ms in self._waiting
        ]
        self._waiting.clear()
        if lines:
            print(*lines, sep="\n", flush=True)


request_lines = RequestLines()


def to_stdout() -> None:
    """Send the service's records, the reader's and uvicorn's to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    for name in (LOGGER, "app", "feast_plugins", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
