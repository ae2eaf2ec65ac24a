"""A load generator with low overhead: prepared requests, raw samples, nothing else.

It runs in a process of its own and reports its share of a processor: a share well under one means
that the client did not limit the server.
"""

import asyncio
import multiprocessing
import re
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from math import inf
from typing import Any

import numpy as np
import uvloop

from lab.settings import settings

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """A load of whole HTTP requests, sent in order and again from the first, `count` in all.

    With a `rate`, each has a scheduled time and its latency counts from there (open loop); without,
    a connection sends its next one after the answer to its last, for `seconds` (closed loop). After
    `timeout_s` without any answer, each outstanding request counts as an error.
    """

    port: int
    requests: Sequence[bytes]
    connections: int = 50
    count: int | None = None
    seconds: float = inf
    rate: float | None = None
    keep: bool = False
    timeout_s: float = 10.0


@dataclass
class Answers:
    """Latencies in milliseconds in the order of the answers; with `keep`, the answers as well."""

    milliseconds: np.ndarray
    seconds: float
    cpu_seconds: float
    errors: Counter[str]
    contents: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Return the answers a second, errors left out."""
        return (len(self.milliseconds) - self.errors.total()) / self.seconds

    @property
    def cpu_share(self) -> float:
        """Return the share of one processor that the client used."""
        return self.cpu_seconds / self.seconds

    def percentile(self, rank: float) -> float:
        """Return a percentile that is the latency of an actual request."""
        return float(np.percentile(self.milliseconds, rank, method="inverted_cdf"))


def post(path: str, body: bytes) -> bytes:
    """Return the bytes of a POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: {settings.host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class HttpClient:
    """Sender of loads, one at a time, in its own process."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def send(self, load: Load) -> Answers:
        """Send a load and return all its samples."""
        return self._pool.submit(_send, load).result()


@contextmanager
def http_client() -> Iterator[HttpClient]:
    """Run the client's process for the duration of the block."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        yield HttpClient(pool)


def _send(load: Load) -> Answers:
    return uvloop.run(_Sender(load).run())


class _Sender:
    """One load in progress."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = islice(cycle(load.requests), load.count)
        self._pending: deque[tuple[float, bytes]] = deque()
        self._idle: deque[_Connection] = deque()
        self._in_flight = 0
        self._all_sent = False
        self._finished = asyncio.Event()
        self._stop_at = inf
        self._milliseconds: list[float] = []
        self._errors: Counter[str] = Counter()
        self._contents: list[bytes] = []

    async def run(self) -> Answers:
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            _, connection = await loop.create_connection(
                lambda: _Connection(self), settings.host, self._load.port
            )
            self._idle.append(connection)
        began, cpu = time.perf_counter(), time.process_time()
        self._stop_at = began + self._load.seconds
        if self._load.rate is None:
            self._send_pending()
        else:
            await self._keep_pace(began, self._load.rate)
        await self._wait_for_the_last()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        for connection in self._idle.copy():
            connection.close()
        return Answers(np.array(self._milliseconds), seconds, cpu, self._errors, self._contents)

    async def _keep_pace(self, began: float, rate: float) -> None:
        for number, request in enumerate(self._requests):
            scheduled = began + number / rate
            if (ahead := scheduled - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            self._pending.append((scheduled, request))
            self._send_pending()
        self._all_sent = True

    async def _wait_for_the_last(self) -> None:
        """Wait until all requests are answered, or no answer comes any more."""
        self._note_end()
        answers = -1
        while not self._finished.is_set():
            if answers == len(self._milliseconds):
                self._errors["no answer"] += self._in_flight + len(self._pending)
                return
            answers = len(self._milliseconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), self._load.timeout_s)

    def _next(self) -> tuple[float, bytes] | None:
        if self._load.rate is not None:
            return self._pending.popleft() if self._pending else None
        now = time.perf_counter()
        request = next(self._requests, None) if now < self._stop_at else None
        self._all_sent = request is None
        return None if request is None else (now, request)

    def _send_pending(self) -> None:
        while self._idle and (work := self._next()):
            self._in_flight += 1
            self._idle.popleft().send(*work)  # in turn: a server closes an idle connection

    def answered(self, connection: "_Connection", scheduled: float, answer: bytes) -> None:
        """Record a sample; the connection is free again."""
        self._milliseconds.append((time.perf_counter() - scheduled) * 1e3)
        if not answer.startswith(b"HTTP/1.1 200"):
            self._errors[answer[9:12].decode()] += 1
        if self._load.keep:
            self._contents.append(answer)
        self._in_flight -= 1
        self._idle.append(connection)
        self._send_pending()
        self._note_end()

    def lost(self, connection: "_Connection", scheduled: float | None) -> None:
        """Record a connection that the server closed, perhaps with a request on it."""
        if scheduled is None:
            self._idle.remove(connection)
        else:
            self._milliseconds.append((time.perf_counter() - scheduled) * 1e3)
            self._errors["connection lost"] += 1
            self._in_flight -= 1
            self._note_end()

    def _note_end(self) -> None:
        if self._all_sent and not self._in_flight and not self._pending:
            self._finished.set()


class _Connection(asyncio.Protocol):
    """One connection, with one request on it at a time."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._answer = b""
        self._scheduled: float | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.WriteTransport = transport

    def send(self, scheduled: float, request: bytes) -> None:
        self._scheduled = scheduled
        self._transport.write(request)

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self._answer, 0, head)
        assert length, "an answer without Content-Length"
        if len(self._answer) < head + 4 + int(length[1]):
            return
        answer, self._answer = self._answer, b""
        scheduled, self._scheduled = self._scheduled, None
        assert scheduled is not None, "an answer without a request"
        self._sender.answered(self, scheduled, answer)

    def connection_lost(self, _: Exception | None) -> None:
        scheduled, self._scheduled = self._scheduled, None
        self._sender.lost(self, scheduled)
