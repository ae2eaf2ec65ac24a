"""What stands before the endpoints, as plain ASGI: Starlette's own base class costs much more.

From the outside in: a request id, one line of log and a 500 for what nobody caught; a bound on the
requests in work; the API key; the whole body, within bounds of size and time.
"""

import asyncio
import logging
import re
import secrets
from hmac import compare_digest
from time import perf_counter

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import telemetry
from .docs_page import DESCRIPTION, FILES, PAGE
from .logs import FIELDS, LOGGER, request_lines
from .telemetry import in_work

PREDICTIONS = frozenset({"/predict", "/predict/batch"})
PROBES = frozenset({"/live", "/ready", "/health"})
OPEN = PROBES | {PAGE, DESCRIPTION}  # to those without a key
REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,64}")
BODY = "lab.body"  # where an endpoint finds it in the scope
RETRY_AFTER = ((b"retry-after", b"1"),)

log = logging.getLogger(f"{LOGGER}.requests")


def header(scope: Scope, name: bytes) -> bytes | None:
    """A request header's value."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def refuse(
    send: Send, status: int, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer without asking the endpoint."""
    body = orjson.dumps({"detail": detail})
    described = (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *headers,
    )
    await send({"type": "http.response.start", "status": status, "headers": list(described)})
    await send({"type": "http.response.body", "body": body})


class RequestLog:
    """Gives each request an id, logs and counts its answer, and answers 500 for what goes wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = perf_counter(), 0
        given = header(scope, b"x-request-id")
        is_usable = given is not None and REQUEST_ID.fullmatch(given)
        request_id = given if given and is_usable else secrets.token_hex(8).encode()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            log.exception("not answered", extra={FIELDS: {"request_id": request_id.decode()}})
            if not status:
                await refuse(send_with_id, 500, "the service failed; its log has the request id")
        route = getattr(scope.get("route"), "path", "none")
        telemetry.count_response(route, status)
        milliseconds = (perf_counter() - started) * 1000
        request_lines.add(request_id, scope["method"], route, status, milliseconds)


class LoadShedder:
    """Refuses what comes while `limit` requests are in work in this worker: queues only grow."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            return await self._app(scope, receive, send)
        if in_work.requests >= self._limit:
            telemetry.SHED.inc()
            return await refuse(send, 503, "too many requests are in work", RETRY_AFTER)
        in_work.requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            in_work.requests -= 1


class ApiKey:
    """Asks for `key` in X-API-Key, except from probes and for the documentation."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key = app, key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] != "http" else scope["path"]
        is_open = not path or path in OPEN or path.startswith(f"{FILES}/")
        if is_open or compare_digest(header(scope, b"x-api-key") or b"", self._key):
            return await self._app(scope, receive, send)
        await refuse(
            send, 401, "X-API-Key is missing or wrong", ((b"www-authenticate", b"ApiKey"),)
        )


class JsonBody:
    """Takes a request's JSON in whole, `max_bytes` in `timeout_s` at most, before it is parsed."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PREDICTIONS or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        kind = header(scope, b"content-type") or b""
        if kind.partition(b";")[0].strip().lower() != b"application/json":
            return await refuse(send, 415, "Content-Type: send application/json")
        try:
            body = await self._received(scope, receive)
        except TimeoutError:
            return await refuse(send, 408, f"body: not complete after {self._timeout_s:g} s")
        if body is None:
            return await refuse(send, 413, f"body: more than {self._max_bytes} bytes")
        scope[BODY] = body
        await self._app(scope, receive, send)

    async def _received(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body; None when it is too large. What a client that goes away has sent is enough."""
        if int(header(scope, b"content-length") or 0) > self._max_bytes:
            return None
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body"):
            async with asyncio.timeout(self._timeout_s):
                while message.get("more_body") and len(body) <= self._max_bytes:
                    message = await receive()
                    body += message.get("body", b"")
        return body if len(body) <= self._max_bytes else None
