"""The Redis of a sandbox: submissions use it, and cannot take it from the grader."""

import secrets
from collections.abc import Sequence
from typing import Any

import redis

from checker.settings import CheckerSettings
from lab.stack.redis import RedisServer
from lab.stack.service import end_of

USER = "grader"
# Commands that end the server, stop it, copy it elsewhere, or cut off the grader. Not CONFIG SET: a
# right solution may set a memory policy, and `requirepass` concerns only the submission's own user.
DENIED = "-shutdown -replicaof -slaveof -sync -psync -replconf -debug -module -acl -client"
ALLOWED = " ".join(
    f"+client|{name}"
    for name in ("setname", "getname", "id", "info", "list", "tracking", "caching", "trackinginfo")
)


class SandboxRedis(RedisServer):
    """Submissions are its default user; the grader has a user of its own, with all commands."""

    def __init__(self, config: CheckerSettings) -> None:
        super().__init__(config)
        self._password = secrets.token_hex(16)

    def prepare(self) -> Sequence[str]:
        """Write the users to a file; return the command with it."""
        file = self.directory / "users.acl"
        file.touch(mode=0o600)
        file.write_text(
            f"user default on nopass ~* &* +@all {DENIED} {ALLOWED}\n"
            f"user {USER} on >{self._password} ~* &* +@all\n"
        )
        return [*super().prepare(), "--aclfile", str(file)]

    def client(self, database: int = 0) -> redis.Redis:
        """Return a client of the grader's own user, whose every wait is bounded."""
        return redis.Redis(
            host=self.config.host,
            port=self.port,
            db=database,
            username=USER,
            password=self._password,
            socket_timeout=self.config.socket_timeout_s,
            socket_connect_timeout=self.config.socket_timeout_s,
        )

    def trouble(self) -> str:
        """Return why it cannot serve though no submission changed it; empty when it can."""
        if not self.is_running():
            return f"the grader's Redis is not running; {end_of(self.log)}"
        try:
            status = self.client().info("persistence")
        except redis.RedisError:
            return ""  # it runs, and a submission has changed how
        if status["aof_last_write_status"] != "ok":
            return f"the grader's Redis cannot write to its disk; {end_of(self.log)}"
        return ""

    def footprint(self) -> tuple[int, int]:
        """Return the keys that do not expire, and the bytes of all keys, in all databases."""
        lasting = size = 0
        keyspace: Any = self.client().info("keyspace")
        for name, database in keyspace.items():
            client = self.client(int(name.removeprefix("db")))
            pipe = client.pipeline(transaction=False)
            for key in client.scan_iter(count=1_000):
                pipe.memory_usage(key, samples=0)
            lasting += database["keys"] - database["expires"]
            size += sum(filter(None, pipe.execute()))
        return lasting, size
