"""Redis: the online store. Append-only file, a memory limit, and no eviction of features."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from lab.settings import settings
from lab.stack.compose import engine_answers
from lab.stack.ports import free_port
from lab.stack.preflight import require_program
from lab.stack.server import Server

REDIS_IMAGE = "redis:7.0.15"


class RedisServer(Server):
    """A Redis that stores all writes on disk, except those of the last second."""

    name = "redis"
    address_setting = "redis_url"
    scheme = "redis://"
    oldest = (6, 0)

    @property
    def ports(self) -> Mapping[str, int]:
        """Return its one port."""
        return {"redis_port": self.config.redis_port}

    def prepare(self) -> Sequence[str]:
        """Return the command; needs redis-server, or a Docker engine that has one."""
        in_container = shutil.which("redis-server") is None and engine_answers()
        options = {
            "bind": "0.0.0.0" if in_container else self.config.host,
            "port": str(self.port),
            "protected-mode": "no" if in_container else "yes",
            "dir": str(self.directory),
            "maxmemory": self.config.redis_maxmemory,
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        if in_container:
            return [*self._container(), "redis-server", *flags]
        return [require_program("redis-server", needed_by="redis"), *flags]

    def _container(self) -> Sequence[str]:
        """Return the Docker command in the foreground: ending the command ends the container."""
        publish = f"{self.config.host}:{self.port}:{self.port}"
        user = f"{os.getuid()}:{os.getgid()}"
        volume = f"{self.directory}:{self.directory}"
        options = ["--rm", "--init", "--publish", publish, "--user", user, "--volume", volume]
        return ["docker", "run", *options, REDIS_IMAGE]

    def client(self) -> redis.Redis:
        """Return a client whose every wait is bounded."""
        return redis.Redis(
            host=self.config.host,
            port=self.port,
            socket_timeout=self.config.socket_timeout_s,
            socket_connect_timeout=self.config.socket_timeout_s,
        )

    def answers(self) -> bool:
        """Return True if it serves requests: a loading Redis does not, a full one does."""
        with self.client() as client:
            try:
                client.ping()
            except redis.ResponseError:
                return True
            except redis.RedisError:  # of no connection, or another protocol
                return False
        return True

    def version(self) -> tuple[int, ...]:
        """Return the version of the Redis that answers; () if none does without a password."""
        with self.client() as client:
            try:
                server: Any = client.info("server")
            except (redis.RedisError, OSError):
                return ()
        parts = re.findall(r"\d+", str(server.get("redis_version")))  # 7.4.0-rc1; 6.2 is a float
        return tuple(map(int, parts[:3]))

    def clear(self) -> str:
        """Delete the keys of all databases; return their number in words, '' if there were none."""
        with self.client() as client:
            keyspace: Any = client.info("keyspace")
            keys = sum(database["keys"] for database in keyspace.values())
            client.flushall()
        return f"{keys:,} keys" if keys else ""


@contextmanager
def private_redis(directory: Path, *, maxmemory: str = "256mb") -> Iterator[RedisServer]:
    """Yield a Redis with its own port and data, for tests and the grader."""
    private = {"stack_dir": directory, "redis_port": free_port(), "redis_maxmemory": maxmemory}
    server = RedisServer(settings.model_copy(update=private))
    server.start()
    try:
        yield server
    finally:
        server.stop()
