"""Redis: the online store. Append-only file, a memory limit, and no eviction of features."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.preflight import require_program
from lab.stack.service import Service


class RedisServer(Service):
    """A Redis that keeps what it was told, but for the last second's writes."""

    name = "redis"

    @property
    def ports(self) -> Mapping[str, int]:
        """Its one port."""
        return {"redis_port": self.config.redis_port}

    def prepare(self) -> Sequence[str]:
        """The command; needs redis-server alone."""
        options = {
            "bind": self.config.host,
            "port": str(self.port),
            "protected-mode": "yes",
            "dir": str(self.directory),
            "maxmemory": self.config.redis_maxmemory,
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [require_program("redis-server", needed_by="redis"), *flags]

    def client(self) -> redis.Redis:
        """A client whose every wait is bounded."""
        return redis.Redis(
            host=self.config.host,
            port=self.port,
            socket_timeout=self.config.socket_timeout_s,
            socket_connect_timeout=self.config.socket_timeout_s,
        )

    def answers(self) -> bool:
        """Whether it serves requests: a Redis that loads its file does not, a full one does."""
        with self.client() as client:
            try:
                client.ping()
            except (redis.ConnectionError, redis.TimeoutError):
                return False
            except redis.ResponseError:
                return True
        return True


@contextmanager
def private_redis(directory: Path, *, maxmemory: str = "256mb") -> Iterator[RedisServer]:
    """A Redis with its own port and data, for tests and the grader."""
    private = {"stack_dir": directory, "redis_port": free_port(), "redis_maxmemory": maxmemory}
    server = RedisServer(settings.model_copy(update=private))
    server.start()
    try:
        yield server
    finally:
        server.stop()
