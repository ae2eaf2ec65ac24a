"""A proxy between a client and Redis: counts round trips, delays replies, cuts connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class RedisProxy:
    """A proxy that forwards every connection to `port`; its own is `self.port`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._replies_flow = threading.Event()
        self._replies_flow.set()
        self._delay_s = 0.0
        self._closed = threading.Event()
        self.connections = 0
        self.round_trips = 0
        self.reads = 0  # HMGET commands
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_replies(self) -> None:
        """Forward requests, and hold back the replies."""
        self._replies_flow.clear()

    def release_replies(self) -> None:
        """Forward the replies that were delayed."""
        self._replies_flow.set()

    def delay_replies(self, seconds: float) -> None:
        """Forward each reply that much later."""
        self._delay_s = seconds

    def cut(self) -> None:
        """Close every connection, as a Redis that restarts does."""
        cut, self._sockets = self._sockets, []
        for connection in cut:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def close(self) -> None:
        self._closed.set()
        self.release_replies()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self.connections += 1
                self._sockets += [client, server]
                is_sent = threading.Event()  # since the last reply
                threading.Thread(
                    target=self._forward, args=(client, server, is_sent), daemon=True
                ).start()
                threading.Thread(
                    target=self._reply, args=(server, client, is_sent), daemon=True
                ).start()

    def _forward(
        self, client: socket.socket, server: socket.socket, is_sent: threading.Event
    ) -> None:
        with suppress(OSError):
            while content := client.recv(65536):
                self.round_trips += not is_sent.is_set()
                self.reads += content.count(b"HMGET")
                is_sent.set()
                server.sendall(content)

    def _reply(
        self, server: socket.socket, client: socket.socket, is_sent: threading.Event
    ) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                self._replies_flow.wait()
                self._closed.wait(self._delay_s)
                is_sent.clear()
                client.sendall(content)


@contextmanager
def redis_proxy(port: int) -> Iterator[RedisProxy]:
    """Run a proxy until the end of the block."""
    proxy = RedisProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
