"""Middleware in front of the endpoints, as plain ASGI: Starlette's base class costs much more."""

import asyncio
from hmac import compare_digest
from typing import Any

import orjson
from prometheus_client import Counter, Gauge
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exercise_04_serving.app.schema import RESPONSES

PREDICTIONS = frozenset({"/predict", "/predict/batch"})
OPEN = frozenset({"/live", "/ready", "/health", "/docs", "/openapi.json"})  # without a key
RETRY_AFTER = (b"retry-after", b"1")
SHED = Counter("requests_shed", "Requests refused because too many were in flight")
IN_FLIGHT = Gauge("requests_in_flight", "Requests in flight", multiprocess_mode="livesum")


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return a request header's value."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def respond(
    send: Send, status: int, body: dict[str, Any], *headers: tuple[bytes, bytes]
) -> None:
    """Send a JSON response without calling the endpoint."""
    content = orjson.dumps(body)
    length = (b"content-length", b"%d" % len(content))
    described = [(b"content-type", b"application/json"), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": content})


async def refuse(
    scope: Scope, send: Send, status: int, detail: str, *headers: tuple[bytes, bytes]
) -> None:
    """Refuse a request, and count the response of a prediction."""
    if scope["path"] in PREDICTIONS:
        RESPONSES.labels(scope["path"], str(status)).inc()
    await respond(send, status, {"detail": detail}, *headers)


class LoadShedder:
    """Refuses predictions above `limit` in flight in this worker: queues only grow."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit, self._in_flight = app, limit, 0
        for path in PREDICTIONS:
            RESPONSES.labels(path, "503")  # a series that begins with a count has no rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PREDICTIONS:
            return await self._app(scope, receive, send)
        if self._in_flight >= self._limit:
            SHED.inc()
            return await refuse(scope, send, 503, "too many requests in flight", RETRY_AFTER)
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
        is_open = scope["type"] != "http" or scope["path"] in OPEN
        if is_open or compare_digest(header(scope, b"x-api-key") or b"", self._key):
            return await self._app(scope, receive, send)
        required = (b"www-authenticate", b"ApiKey")
        await refuse(scope, send, 401, "X-API-Key is missing or wrong", required)


class BodyLimit:
    """Receives a prediction's JSON before the endpoint, `max_bytes` in `timeout_s` at most."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PREDICTIONS or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        kind = header(scope, b"content-type") or b""
        if kind.partition(b";")[0].strip().lower() != b"application/json":
            return await refuse(scope, send, 415, "Content-Type: send application/json")
        try:
            body = await self._received(scope, receive)
        except TimeoutError:
            return await refuse(scope, send, 408, f"body: not complete in {self._timeout_s:g} s")
        if body is None:
            return await refuse(scope, send, 413, f"body: more than {self._max_bytes} bytes")

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _received(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body; None when it is too large."""
        if int(header(scope, b"content-length") or 0) > self._max_bytes:
            return None
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            async with asyncio.timeout(self._timeout_s):
                while message.get("more_body") and len(body) <= self._max_bytes:
                    message = await receive()
                    body += message.get("body", b"")
        return body if len(body) <= self._max_bytes else None
