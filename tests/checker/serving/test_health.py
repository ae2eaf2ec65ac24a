"""The health of an API counts once it stays the same."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain, cycle, repeat
from types import SimpleNamespace
from typing import Any

import pytest

from checker.serving.api_client import seconds_until

LIMIT_S = 5


@contextmanager
def api(statuses: Iterator[int]) -> Iterator[Any]:
    """A server with the next status at each request."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(statuses))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(
    ("statuses", "is_found"),
    [
        (repeat(503), True),
        (chain([200, 503, 200], repeat(503)), True),
        (repeat(200), False),
        (cycle([503, 503, 200]), False),
        (cycle([503, 503, 503, 503, 503, 200]), False),
    ],
    ids=["steady", "one worker later", "constant", "every third", "every sixth"],
)
def test_a_state_counts_once_it_stays(statuses: Iterator[int], is_found: bool) -> None:
    with api(statuses) as server:
        assert (seconds_until(server, LIMIT_S, healthy=False) is not None) is is_found
