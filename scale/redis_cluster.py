"""A Redis Cluster as processes on the loopback interface: three masters, a replica of each."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.settings import Settings, settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from scale.processes import own_settings

MASTERS, REPLICAS = 3, 1
NODE_TIMEOUT_MS = 2_000  # a master that is silent for so long is replaced


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

    def is_master(self) -> bool:
        """Return True if the node answers as a master."""
        return bool(self.client().info("replication")["role"] == "master")


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[RedisNode]]:
    """Yield the nodes of a cluster; it may not yet have copied itself to the replicas."""
    with ExitStack() as running:
        nodes = []
        for number in range(MASTERS * (1 + REPLICAS)):
            own = own_settings(folder / str(number), "redis_port", redis_maxmemory="256mb")
            nodes.append(RedisNode(own))
            nodes[-1].start()
            running.callback(nodes[-1].stop)
        create = ["redis-cli", "--cluster", "create", *(node.address for node in nodes)]
        create += ["--cluster-replicas", str(REPLICAS), "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=settings.stack_timeout_s)
        yield nodes


def connection_string(nodes: Sequence[RedisNode]) -> str:
    """Return the nodes in the form of Feast's store."""
    return ",".join(node.address for node in nodes)
