"""An HTTP server that does nothing: what the machine and the client take of a measured latency."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from checker.sandbox.limits import allow_open_files
from lab.settings import LOOPBACK

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BACKLOG = 2_048


class Bare(asyncio.Protocol):
    """Answers whatever ends with a JSON object, without reading it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}") and isinstance(self._transport, asyncio.Transport):
            self._transport.write(HEAD)


@contextmanager
def bare_server() -> Iterator[str]:
    """Its URL while it runs, in a process of its own as the measured server is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "checker.serving.bare_server"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://{LOOPBACK}:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


async def serve() -> None:
    """Serve on a free port, and print it to standard output."""
    allow_open_files()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, LOOPBACK, 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
