"""Three Kafka brokers as processes on the loopback interface: each record is on all of them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.settings import Settings, settings
from lab.stack.kafka.broker import KafkaBroker, new_cluster_id
from lab.stack.ports import free_port

BROKERS = 3
# A producer with acks=all has its answer once two brokers have the record.
REPLICATED = {
    "default.replication.factor": BROKERS,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": BROKERS,
    "transaction.state.log.replication.factor": BROKERS,
    "transaction.state.log.min.isr": 2,
    "broker.session.timeout.ms": 6_000,  # a broker that is silent for so long leads nothing
}


class ClusterBroker(KafkaBroker):
    """A broker, and controller, of a cluster."""

    def __init__(self, config: Settings, node: int, cluster: str, voters: str) -> None:
        super().__init__(config)
        self.cluster, self._node, self._voters = cluster, node, voters

    def properties(self) -> dict[str, object]:
        """Return the properties of a lone broker, with its place in the cluster."""
        place = {"node.id": self._node, "controller.quorum.voters": self._voters}
        return super().properties() | REPLICATED | place

    def kill(self) -> None:
        """Kill it, as the loss of a machine does."""
        if process := self.pid_file.process():
            process.kill()


@contextmanager
def kafka_cluster(folder: Path) -> Iterator[list[ClusterBroker]]:
    """Yield brokers that all answer; they start together, as two of them are a quorum."""
    configs = []
    for node in range(1, BROKERS + 1):
        ports = {"kafka_port": free_port(), "kafka_controller_port": free_port()}
        own = {"stack_dir": folder / str(node), **ports}
        configs.append(settings.model_copy(update=own))
    places = enumerate(configs, start=1)
    voters = ",".join(f"{n}@{c.host}:{c.kafka_controller_port}" for n, c in places)
    cluster = new_cluster_id()
    brokers = [ClusterBroker(c, n, cluster, voters) for n, c in enumerate(configs, start=1)]
    with ExitStack() as running, ThreadPoolExecutor(BROKERS) as threads:
        for broker in brokers:
            running.callback(broker.stop)
        list(threads.map(ClusterBroker.start, brokers))
        yield brokers


def bootstrap(brokers: Sequence[ClusterBroker]) -> str:
    """Return the address of all brokers for a client."""
    return ",".join(broker.bootstrap for broker in brokers)
