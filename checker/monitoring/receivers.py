"""Where a submission's alerts arrive: a real HTTP server and a real SMTP server on loopback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote_plus

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from lab.settings import LOOPBACK
from lab.stack.ports import free_port

HOOK = "/services/T00000000/B00000000/grader"
MAILBOX = "on-call@example.com"
LONGEST = 2**20
READ_TIMEOUT_S = 5


@dataclass
class Receivers:
    """What has arrived; the first `refusals` posts were answered with 500."""

    refusals: int
    environment: dict[str, str] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def take_post(self, body: bytes) -> int:
        """Keep a post, or refuse it; the status to answer with."""
        with self._lock:
            is_refused = len(self.refused) < self.refusals
            (self.refused if is_refused else self.posts).append(_text_of_post(body))
        return 500 if is_refused else 200

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail; the name is that which aiosmtpd calls."""
        self.mails.append(_text_of_mail(envelope.original_content or b""))
        return "250 OK"

    @property
    def arrived(self) -> list[str]:
        return [*self.posts, *self.mails]

    @property
    def delivered(self) -> list[str]:
        """What an on-call person reads: the posts, or the mails of one who does not post."""
        return self.posts if self.posts or self.refused else self.mails


@contextmanager
def receivers(refusals: int = 0) -> Iterator[Receivers]:
    """Receivers that listen until the end of the block; `environment` says where."""
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # Feast's CLI made it tell every line
    received = Receivers(refusals)
    http = ThreadingHTTPServer((LOOPBACK, 0), _handler(received))
    smtp = Controller(received, hostname=LOOPBACK, port=free_port())
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
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(min(size, LONGEST))
            self.send_response(received.take_post(body))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Nothing: what arrived is kept."""

    return Hook


def _text_of_post(body: bytes) -> str:
    """The words of a JSON or form body, without escapes."""
    return unquote_plus(body.decode(errors="replace")).replace("\\", "")


def _text_of_mail(content: bytes) -> str:
    """Subject and text of a mail, decoded."""
    mail = message_from_bytes(content, policy=policy.default)
    texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join([str(mail["subject"]), *texts])
