"""Logs as JSON, a line each; at INFO they hold no ids, no feature values, nothing of a body."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

LOGGER = "exercise_04_serving"
FIELDS = "fields"  # what a record carries beside its message


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
    """An error's type and the way to it, without its message, which may hold values."""
    frames = traceback.extract_tb(error.__traceback__)
    way = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    return f"{type(error).__name__} at {way}"


def to_stdout() -> None:
    """Send the service's records, the reader's and uvicorn's to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    for name in (LOGGER, "app", "feast_plugins", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
