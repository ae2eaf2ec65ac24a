"""Send requests to an HTTP server: one, many at a steady rate, or many at once; time them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from checker.sandbox import untrusted
from checker.sandbox.limits import allow_open_files

GATHERING_S = 5.0  # a server with a short backlog lets no more in until it has answered some
MOST_BYTES = 10 * 2**20

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A response: its JSON, or its text if it is none; status 0 without a response."""

    status: int
    body: Any = None
    seconds: float = 0.0
    error: str = ""

    @property
    def is_object(self) -> bool:
        """Return whether it is a success with a JSON object."""
        return self.status == 200 and isinstance(self.body, dict)

    def __str__(self) -> str:
        return self.error or f"status {self.status}: {json.dumps(self.body):.150}"


def ask(url: str, body: Body | None, patience_s: float) -> Answer:
    """GET, or POST a body; here as below the timeout of a response is `patience_s`."""

    async def send(session: aiohttp.ClientSession) -> list[Answer]:
        return [await _ask(session, url, body, asyncio.get_running_loop().time())]

    return _in_session(send, patience_s)[0]


def at_rate(url: str, bodies: Sequence[Body], rate: int, patience_s: float) -> list[Answer]:
    """POST a body every 1/rate seconds, however long the earlier ones take.

    Seconds count from the scheduled time of a request, so that queueing counts too.
    """

    async def send(session: aiohttp.ClientSession) -> list[Answer]:
        start = asyncio.get_running_loop().time()
        due = [start + number / rate for number in range(len(bodies))]
        return await asyncio.gather(*map(_ask, [session] * len(due), [url] * len(due), bodies, due))

    return _in_session(send, patience_s)


def at_once(url: str, bodies: Sequence[Body], patience_s: float) -> list[Answer]:
    """POST each body on a connection of its own; they are sent when all are open."""

    async def send(session: aiohttp.ClientSession) -> list[Answer]:
        start = asyncio.get_running_loop().time()
        return await asyncio.gather(*(_ask(session, url, body, start) for body in bodies))

    allow_open_files()
    return _in_session(send, patience_s, [_gathering(len(bodies))])


def _in_session(
    send: Callable[[aiohttp.ClientSession], Awaitable[list[Answer]]],
    patience_s: float,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> list[Answer]:
    """Run `send` with a client that has a connection for each request under way."""

    async def run() -> list[Answer]:
        connector = aiohttp.TCPConnector(limit=0)
        patience = aiohttp.ClientTimeout(total=patience_s)
        async with aiohttp.ClientSession(
            connector=connector, timeout=patience, trace_configs=list(traces)
        ) as session:
            return await send(session)

    return asyncio.run(run())


def _gathering(count: int) -> aiohttp.TraceConfig:
    """Holds each connection back until `count` are open, or for a few seconds."""
    all_open = asyncio.Event()
    is_open: list[bool] = []

    async def wait_for_others(*_: object) -> None:
        is_open.append(True)
        if len(is_open) == count:
            all_open.set()
        try:
            await asyncio.wait_for(all_open.wait(), GATHERING_S)
        except TimeoutError:
            all_open.set()

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(wait_for_others)
    return trace


async def _ask(session: aiohttp.ClientSession, url: str, body: Body | None, due: float) -> Answer:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(due - loop.time())
    method = "GET" if body is None else "POST"
    try:
        async with session.request(method, url, json=body) as response:
            content = await _content(response)
            return Answer(response.status, _parsed(content), loop.time() - due)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = str(error) or type(error).__name__
        return Answer(0, None, loop.time() - due, f"no answer to {method} {url}: {reason}")


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer; what is too long is cut off."""
    content = bytearray()
    async for chunk, _ in response.content.iter_chunks():
        content += chunk
        if len(content) > MOST_BYTES:
            break
    return bytes(content)


def _parsed(content: bytes) -> Any:
    try:
        return untrusted.parsed(content)
    except ValueError:
        return content.decode(errors="replace")
