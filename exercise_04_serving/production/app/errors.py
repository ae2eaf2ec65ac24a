"""What an endpoint's errors become: a status, a sentence, and for a wrong field its name."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from feast_plugins.online_errors import OnlineReadError
from lab.settings import settings

from .schema import InvalidRequest, Problem

RETRY_AFTER = {"Retry-After": "1"}
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "X-API-Key is missing or wrong"},
    408: {"model": Problem, "description": "The body did not arrive in time"},
    413: {"model": Problem, "description": "The body is too large"},
    415: {"model": Problem, "description": "The body is not application/json"},
    422: {"model": InvalidRequest, "description": "A field is wrong, or the body is not JSON"},
    503: {"model": Problem, "description": "Redis is away or slow, or too many are in flight"},
}


async def store_is_away(_: Request, error: Exception) -> Response:
    """Redis does not answer: come again, it is not your request."""
    body = orjson.dumps({"detail": str(error)})
    return Response(body, 503, RETRY_AFTER, "application/json")


async def no_turn(_: Request, __: Exception) -> Response:
    """Too many are before it."""
    body = orjson.dumps({"detail": f"no turn within {settings.turn_timeout_s:g} s"})
    return Response(body, 503, RETRY_AFTER, "application/json")


async def invalid_request(_: Request, error: Exception) -> Response:
    """Name every wrong field; the values stay where they are, NaN for one is not JSON."""
    assert isinstance(error, RequestValidationError)
    detail = [
        {"loc": one["loc"], "msg": f"{_path(one['loc'])}: {one['msg']}", "type": one["type"]}
        for one in error.errors()
    ]
    return Response(orjson.dumps({"detail": detail}), 422, media_type="application/json")


def _path(location: Sequence[str | int]) -> str:
    """body.transactions[3].transaction_amount"""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".")


def add_error_handlers(app: FastAPI) -> None:
    """Whatever is not among these is a 500 without words, and a line in the log."""
    app.add_exception_handler(OnlineReadError, store_is_away)
    app.add_exception_handler(TimeoutError, no_turn)
    app.add_exception_handler(RequestValidationError, invalid_request)
