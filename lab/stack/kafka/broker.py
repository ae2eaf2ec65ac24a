"""A Kafka broker that is its own controller."""

import base64
import logging
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.settings import Settings, settings
from lab.stack.command import run
from lab.stack.maven import fetch_jars
from lab.stack.ports import free_port, is_taken
from lab.stack.preflight import require_java
from lab.stack.server import Server

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

POM = Path(__file__).with_name("pom.xml")
ONE_NODE: Mapping[str, object] = {
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
}


def kafka_jars(config: Settings) -> Path:
    """Return the folder of the jars that pom.xml names. Needs Maven if they are not there yet."""
    return fetch_jars(
        POM, config.kafka_jars_dir, needed_by="kafka", timeout_s=config.download_timeout_s
    )


def kafka_client() -> Any:
    """Import kafka-python: here, because four exercises need no Kafka, and it takes 0.3 s."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Feast makes them visible
        import kafka
    return kafka


class KafkaBroker(Server):
    """A broker that is its own controller, both on the loopback interface."""

    name = "kafka"
    address_setting = "kafka_bootstrap"
    oldest = (2, 1)  # the oldest broker that the clients in Flink's connector connect to

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.data = self.directory / "data"
        self.cluster = new_cluster_id()

    @property
    def ports(self) -> Mapping[str, int]:
        """Return the clients' port and the controller's."""
        return {
            "kafka_port": self.config.kafka_port,
            "kafka_controller_port": self.config.kafka_controller_port,
        }

    @property
    def bootstrap(self) -> str:
        """Return the address for a client's `bootstrap_servers`."""
        return self.address

    def prepare(self) -> Sequence[str]:
        """Download the jars and format the storage, each once; needs Java, and Maven at first."""
        java = require_java(needed_by=self.name)
        jars = kafka_jars(self.config)
        program = [java, f"-Xmx{self.config.kafka_heap}", "-cp", f"{jars}/*"]
        if not self.data.exists():
            self._format_storage(program)
        return [*program, "kafka.Kafka", self._properties(self.data)]

    def answers(self) -> bool:
        """Return True if the broker is registered and open to clients."""
        if not is_taken(self.config.host, self.port):
            return False  # the client would wait longer after each attempt, and log each
        try:
            with closing(self._admin()) as admin:
                brokers = admin.describe_cluster()["brokers"]
                return any(not broker["is_fenced"] for broker in brokers)
        except kafka_client().errors.KafkaError:
            return False

    def version(self) -> tuple[int, ...]:
        """Return the version that the broker's API implies; () if no Kafka answers."""
        try:
            with closing(self._admin()) as admin:
                brokers = admin.describe_cluster()["brokers"]  # none while it starts
                versions = [admin.get_broker_version_data(b["broker_id"]) for b in brokers[:1]]
                return tuple(versions[0].broker_version) if versions else ()
        except kafka_client().errors.KafkaError:
            return ()

    def clear(self) -> str:
        """Delete all topics but Kafka's own; return their names, '' if there were none."""
        with closing(self._admin()) as admin:
            topics = sorted(name for name in admin.list_topics() if not name.startswith("__"))
            if not topics:
                return ""
            admin.delete_topics(topics)
        return f"topics {', '.join(topics)}"

    def _admin(self) -> "KafkaAdminClient":
        """Return a client whose every wait is bounded; raises KafkaError."""
        # Feast lets all libraries log at INFO; the client would log each attempt to connect.
        logging.getLogger("kafka").setLevel(logging.WARNING)
        timeout_ms = int(self.config.socket_timeout_s * 1_000)
        return kafka_client().KafkaAdminClient(
            bootstrap_servers=self.bootstrap,
            bootstrap_timeout_ms=timeout_ms,
            request_timeout_ms=timeout_ms,
        )

    def _format_storage(self, program: Sequence[str]) -> None:
        temp_path = self.directory / "data.new"
        shutil.rmtree(temp_path, ignore_errors=True)
        # With "=": an id may begin with a hyphen, which the tool would read as an option.
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={self.cluster}", "--config"]
        run(
            [*program, *tool, self._properties(temp_path)],
            what="formatting Kafka's storage",
            log=self.directory / "format.log",
            timeout_s=self.config.stack_timeout_s,
        )
        temp_path.rename(self.data)

    def _properties(self, data: Path) -> str:
        """Write a server.properties for data in that folder; return its path."""
        path = self.directory / "server.properties"
        properties = self.properties() | {"log.dirs": data}
        path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        return str(path)

    def properties(self) -> dict[str, object]:
        """Return the broker's configuration, without the place of its data."""
        host, controller = self.config.host, self.config.kafka_controller_port
        return {
            **ONE_NODE,
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{host}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{host}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
        }


def new_cluster_id() -> str:
    """Return a random id in the form that Kafka's tools accept."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


@contextmanager
def private_kafka(directory: Path) -> Iterator[KafkaBroker]:
    """Yield a broker with its own ports and data, for tests and the grader; the jars are shared."""
    ports = {"kafka_port": free_port(), "kafka_controller_port": free_port()}
    broker = KafkaBroker(settings.model_copy(update={"stack_dir": directory, **ports}))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
