"""A Redis Cluster as processes on the loopback interface: three masters, a replica of each."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.errors import UserError
from lab.settings import Settings, settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer

MASTERS, REPLICAS = 3, 1
NODE_TIMEOUT_MS = 2_000  # a master that is silent for so long is replaced
POLL_S = 0.1


class RedisNode(RedisServer):
    """One of the cluster's servers; the append-only file is that of the embedded Redis."""

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self._bus = free_port()

    def prepare(self) -> Sequence[str]:
        """Return the command; a replica copies its master at once."""
        options = {
            "cluster-enabled": "yes",
            "cluster-port": str(self._bus),
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "repl-diskless-sync-delay": "0",
        }
        return [*super().prepare(), *(w for n, v in options.items() for w in (f"--{n}", v))]

    def is_replicated(self) -> bool:
        """Return True for a replica that follows its master, and a master that has one."""
        found = self.client().info("replication")
        return bool(found.get("master_link_status") == "up" or found.get("connected_slaves"))

    def kill(self) -> None:
        """Kill it, as the loss of a machine does."""
        if process := self.pid_file.process():
            process.kill()

    def is_master(self) -> bool:
        """Return True if the node answers as a master."""
        return bool(self.client().info("replication")["role"] == "master")


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[RedisNode]]:
    """Yield the nodes of a cluster that has copied itself to its replicas. Raises UserError."""
    count = MASTERS * (1 + REPLICAS)
    with ExitStack() as running:
        nodes = []
        for number in range(count):
            own = {"stack_dir": folder / str(number), "redis_port": free_port()}
            nodes.append(RedisNode(settings.model_copy(update={**own, "redis_maxmemory": "256mb"})))
            nodes[-1].start()
            running.callback(nodes[-1].stop)
        create = ["redis-cli", "--cluster", "create", *(node.address for node in nodes)]
        create += ["--cluster-replicas", str(REPLICAS), "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=settings.stack_timeout_s)
        deadline = time.monotonic() + settings.stack_timeout_s
        while not all(node.is_replicated() for node in nodes):
            if time.monotonic() > deadline:
                raise UserError("the Redis Cluster has not copied itself", f"ls {folder}")
            time.sleep(POLL_S)
        yield nodes


def connection_string(nodes: Sequence[RedisNode]) -> str:
    """Return the nodes in the form of Feast's store."""
    return ",".join(node.address for node in nodes)
