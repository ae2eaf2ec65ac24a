"""A webhook like Slack's and an SMTP server, both on loopback, that collect a run's alerts."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any
from urllib.parse import parse_qs

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from checker.sandbox import untrusted
from lab.settings import LOOPBACK
from lab.stack.ports import free_port

HOOK = "/services/T00000000/B00000000/grader"
MAILBOX = "on-call@example.com"
LONGEST = 2**20
MOST_STORED = 16 * LONGEST
MOST_CONNECTIONS = 32
READ_TIMEOUT_S = 5
SHOWN_BY_SLACK = ("text", "blocks", "attachments")


class RejectedPostError(Exception):
    """A post that Slack does not show; the message is Slack's own error code."""


@dataclass
class Receivers:
    """Deliveries of one run. The first post that `refuse` selects is answered with 500."""

    refuse: Callable[[str], bool] = lambda _: False
    environment: dict[str, str] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    _stored: int = 0
    _lock: Lock = field(default_factory=Lock)

    def take_post(self, body: bytes) -> tuple[int, str]:
        """Store a post, or refuse it; return the status and text of the answer."""
        with self._lock:
            if not self._has_room(body):
                return 429, "rate_limited"
            try:
                text = _text_of_post(body)
            except RejectedPostError as error:
                self.rejected.append(str(error))
                return 400, str(error)
            is_refused = not self.refused and self.refuse(text)
            (self.refused if is_refused else self.posts).append(text)
        return (500, "service_error") if is_refused else (200, "ok")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Store a mail; aiosmtpd requires this name."""
        content = envelope.original_content or b""
        with self._lock:
            if not self._has_room(content):
                return "452 too many mails"
            self.mails.append(_text_of_mail(content))
        return "250 OK"

    def _has_room(self, content: bytes) -> bool:
        """Count a message against the limit, so that a flood fills no memory."""
        self._stored += len(content) + 1_000
        return self._stored <= MOST_STORED

    @property
    def arrived(self) -> list[str]:
        return [*self.posts, *self.mails]


class WebhookServer(ThreadingHTTPServer):
    """A server with a bounded number of threads; more connections are closed."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((LOOPBACK, 0), handler)
        self._free = BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(timeout=READ_TIMEOUT_S):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a connection that the submission broke."""


@contextmanager
def receivers(refuse: Callable[[str], bool] = lambda _: False) -> Iterator[Receivers]:
    """Listen until the end of the block; `environment` holds the addresses."""
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # Feast's CLI made it log every line
    received = Receivers(refuse)
    http = WebhookServer(_handler(received))
    smtp = Controller(received, hostname=LOOPBACK, port=free_port(), data_size_limit=LONGEST)
    received.environment = {
        "SLACK_WEBHOOK_URL": f"http://{LOOPBACK}:{http.server_address[1]}{HOOK}",
        "SMTP_HOST": LOOPBACK,
        "SMTP_PORT": str(smtp.port),
        "ALERT_EMAIL_TO": MAILBOX,
    }
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    smtp.start()
    try:
        yield received
    finally:
        smtp.stop()
        http.shutdown()
        http.server_close()
        thread.join()


def _handler(received: Receivers) -> type[BaseHTTPRequestHandler]:
    class Hook(BaseHTTPRequestHandler):
        timeout = READ_TIMEOUT_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            size = min(int(length), LONGEST) if length.isdecimal() else 0
            status, text = received.take_post(self.rfile.read(size))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing: the posts are stored."""

    return Hook


def _text_of_post(body: bytes) -> str:
    """Return the text that Slack shows of a payload; RejectedPostError where it shows none."""
    form = parse_qs(body.decode(errors="replace")) if body.startswith(b"payload=") else {}
    try:
        payload = untrusted.parsed(form["payload"][0] if form else body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise RejectedPostError("invalid_payload")
    text = "\n".join(_texts([payload.get(key) for key in SHOWN_BY_SLACK]))
    if not text.strip():
        raise RejectedPostError("no_text")
    return text.replace("\\", "")


def _texts(shown: list[Any]) -> Iterator[str]:
    """Yield all texts of a JSON value, in any order; a stack, as it may be nested deeply."""
    while shown:
        value = shown.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            shown.extend(value.values() if isinstance(value, dict) else value)


def _text_of_mail(content: bytes) -> str:
    """Return the decoded subject and text of a mail."""
    mail = message_from_bytes(content, policy=policy.default)
    texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join([str(mail["subject"]), *texts])
