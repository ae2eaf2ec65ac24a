"""Middleware in front of the endpoints, as plain ASGI: Starlette's base class costs much more."""

import asyncio
from collections.abc import Mapping
from hmac import compare_digest
from itertools import product

from prometheus_client import Counter, Gauge
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exercise_04_serving.app.schema import RESPONSES

PREDICTIONS = frozenset({"/predict", "/predict/batch"})
OPEN = frozenset({"/live", "/ready", "/health", "/docs", "/openapi.json"})  # without a key
SHED = Counter("requests_shed", "Requests refused because too many were in flight")
IN_FLIGHT = Gauge("requests_in_flight", "Requests in flight", multiprocess_mode="livesum")


def is_prediction(scope: Scope) -> bool:
    """Return whether a request is for a prediction."""
    return scope["type"] == "http" and scope["path"] in PREDICTIONS


def refusal(
    scope: Scope, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> ASGIApp:
    """Return the response that refuses a request, and count that of a prediction."""
    if is_prediction(scope):
        RESPONSES.labels(scope["path"], str(status)).inc()
    return JSONResponse({"detail": detail}, status, headers)


def replay(body: bytes) -> Receive:
    """Return a channel with a body that has been received."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class LoadShedder:
    """Refuses predictions above `limit` in flight in this worker: queues only grow."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit, self._in_flight = app, limit, 0
        for path, status in product(PREDICTIONS, ("200", "500", "503")):
            RESPONSES.labels(path, status)  # a series that begins with a count has no rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_prediction(scope):
            return await self._app(scope, receive, send)
        if self._in_flight >= self._limit:
            SHED.inc()
            refuse = refusal(scope, 503, "too many requests in flight", {"retry-after": "1"})
            return await refuse(scope, receive, send)
        self._in_flight += 1
        IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1
            IN_FLIGHT.dec()


class ApiKey:
    """Requires `key` in X-API-Key, except from probes and for the documentation."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key = app, key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] not in OPEN:
            sent = Headers(scope=scope).get("x-api-key", "")
            if not compare_digest(sent.encode("latin-1"), self._key):
                required = {"www-authenticate": "ApiKey"}
                app = refusal(scope, 401, "X-API-Key is missing or wrong", required)
        await app(scope, receive, send)


class BodyLimit:
    """Receives a prediction's JSON before the endpoint, `max_bytes` in `timeout_s` at most."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_prediction(scope) or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        try:
            body = await self._received(Request(scope, receive))
        except ClientDisconnect:
            return None
        except HTTPException as error:
            return await refusal(scope, error.status_code, error.detail)(scope, receive, send)
        await self._app(scope, replay(body), send)

    async def _received(self, request: Request) -> bytes:
        """Return the body. Raises HTTPException when it is no JSON, too large or too slow."""
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            raise HTTPException(415, "Content-Type: send application/json")
        body = b""
        try:
            async with asyncio.timeout(self._timeout_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise HTTPException(413, f"body: more than {self._max_bytes} bytes")
        except TimeoutError as error:
            raise HTTPException(408, f"body: not complete in {self._timeout_s:g} s") from error
        return body
