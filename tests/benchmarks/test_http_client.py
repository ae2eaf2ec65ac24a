"""The benchmarks' client: its requests, their schedule and latency, and the counted errors."""

import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

import pytest

from benchmarks.harness.http_client import HttpClient, Load, http_client, post
from lab.settings import settings

pytestmark = pytest.mark.slow

Reply = Callable[[int], bytes | None]


def answer(status: str = "200 OK", body: bytes = b"{}") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Server(socketserver.ThreadingTCPServer):
    """Answers request number n by `reply(n)`, in two pieces; None closes the connection."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, reply: Reply) -> None:
        super().__init__((settings.host, 0), Handler)
        self.reply, self.lock = reply, Lock()
        self.requests: list[bytes] = []
        self.connections = 0
        self.most_at_once = self.at_once = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        with self.server.lock:
            self.server.connections += 1
        while head := self.rfile.readline():
            while (line := self.rfile.readline()) != b"\r\n":
                head += line
            length = int(head.lower().split(b"content-length:")[1].split()[0])
            body = self.rfile.read(length)
            with self.server.lock:
                number = len(self.server.requests)
                self.server.requests.append(body)
                self.server.at_once += 1
                self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            reply = self.server.reply(number)
            with self.server.lock:
                self.server.at_once -= 1
            if reply is None:
                return
            self.wfile.write(reply[:20])
            self.wfile.flush()
            self.wfile.write(reply[20:])


@contextmanager
def served(reply: Reply = lambda _: answer()) -> Iterator[Server]:
    with Server(reply) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def client() -> Iterator[HttpClient]:
    with http_client() as made:
        yield made


BODIES = [b"%d" % number for number in range(3)]
REQUESTS = [post("/predict", body) for body in BODIES]


def test_requests_are_sent_in_turn_and_again_from_the_first(client: HttpClient) -> None:
    with served() as server:
        answers = client.send(Load(server.port, REQUESTS, connections=1, count=7))
    assert server.requests == (BODIES * 3)[:7]
    assert len(answers.milliseconds) == 7
    assert not answers.errors
    assert answers.per_second == pytest.approx(7 / answers.seconds)


def test_a_closed_loop_has_one_request_on_each_connection(client: HttpClient) -> None:
    all_in, seen = Event(), []

    def reply(number: int) -> bytes:
        seen.append(number)
        if len(seen) == 5:
            all_in.set()
        assert all_in.wait(30)
        return answer()

    with served(reply) as server:
        client.send(Load(server.port, REQUESTS, connections=5, count=20))
    assert (server.connections, server.most_at_once, len(server.requests)) == (5, 5, 20)


def test_in_an_open_loop_latency_counts_from_the_moment_a_request_was_scheduled(
    client: HttpClient,
) -> None:
    """The first request blocks the one connection; later ones are late, and the delay counts."""
    interval_s, blocked = 0.01, Event()

    def reply(number: int) -> bytes:
        if number == 0:
            blocked.wait(0.3)  # no test sets it: the server stalls
        return answer()

    with served(reply) as server:
        load = Load(server.port, REQUESTS, connections=1, count=10, rate=1 / interval_s)
        answers = client.send(load)
    assert answers.milliseconds[0] >= 300
    for number, milliseconds in enumerate(answers.milliseconds):
        assert milliseconds >= 300 - 1e3 * number * interval_s


def test_an_answer_that_is_no_200_is_an_error_with_its_status(client: HttpClient) -> None:
    statuses = ["200 OK", "503 Service Unavailable", "422 Unprocessable Entity", "200 OK"]
    with served(lambda number: answer(statuses[number])) as server:
        answers = client.send(Load(server.port, REQUESTS, connections=1, count=4))
    assert answers.errors == {"503": 1, "422": 1}
    assert len(answers.milliseconds) == 4
    assert answers.per_second == pytest.approx(2 / answers.seconds)


def test_a_connection_that_is_closed_is_an_error(client: HttpClient) -> None:
    with served(lambda number: None if number == 1 else answer()) as server:
        answers = client.send(Load(server.port, REQUESTS, connections=2, count=6))
    assert answers.errors == {"connection lost": 1}


def test_who_gets_no_answer_gives_up(client: HttpClient) -> None:
    never = Event()

    def reply(number: int) -> bytes:
        if number:
            never.wait(30)
        return answer()

    with served(reply) as server:
        load = Load(server.port, REQUESTS, connections=1, count=3, timeout_s=0.2)
        answers = client.send(load)
        never.set()
    assert answers.errors == {"no answer": 1}


def test_a_percentile_is_a_latency_that_some_request_had(client: HttpClient) -> None:
    with served() as server:
        answers = client.send(Load(server.port, REQUESTS, connections=3, count=31))
    ordered = sorted(answers.milliseconds)
    assert (answers.percentile(50), answers.percentile(95)) == (ordered[15], ordered[29])
