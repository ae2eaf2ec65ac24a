"""A real broker: it stores records and returns them, also after a restart."""

import uuid
from pathlib import Path
from shutil import which

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer

from lab.errors import UserError
from lab.settings import Settings
from lab.stack import up
from lab.stack.kafka import KafkaBroker, private_kafka

missing = [program for program in ("java", "mvn") if which(program) is None]
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(
        bool(missing),
        reason=f"missing {missing}: scripts/system-packages {' '.join(missing)}",
    ),
]


def send(broker: KafkaBroker, value: bytes) -> None:
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send("events", value).get(timeout=30)


def received(broker: KafkaBroker) -> list[bytes]:
    """Return everything in the topic; connects by this machine's name, as a learner would."""
    consumer = KafkaConsumer(
        "events",
        bootstrap_servers=f"localhost:{broker.port}",
        auto_offset_reset="earliest",
        consumer_timeout_ms=3_000,
    )
    with consumer:
        return [record.value for record in consumer]


def test_events_survive_a_restart_of_the_broker(
    tmp_path: Path, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))  # an id of "-Pj4…"
    with private_kafka(tmp_path) as broker:
        send(broker, b"one")
        broker.stop()
        broker.start()
        send(broker, b"two")
        assert received(broker) == [b"one", b"two"]
        process = broker.pid_file.process()
        assert process is not None
        assert listening_addresses(process) == {"127.0.0.1"}
        with pytest.raises(
            UserError, match=rf"^Kafka [\d.]+ listens on {broker.address}, started by"
        ):
            up(["kafka"], config.model_copy(update={"kafka_port": broker.port}))
        named = {"kafka_port": broker.port, "kafka_bootstrap": broker.address}
        up(["kafka"], config.model_copy(update=named))
    assert not process.is_running()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_named(config: Settings) -> None:
    broker = KafkaBroker(config)
    broker.data.mkdir(parents=True)
    (broker.directory / "server.properties").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write .*: no disk space left"):
        up(["kafka"], config)
    assert not broker.is_running()


def test_a_broker_that_dies_while_starting_is_reported_with_its_log(config: Settings) -> None:
    broker = KafkaBroker(config)
    broker.data.mkdir(parents=True)
    (broker.data / "meta.properties").write_text("version=1\nnode.id=99\ncluster.id=other\n")
    with pytest.raises(UserError, match="kafka died while starting") as caught:
        up(["kafka"], config)
    assert str(broker.log) in caught.value.problem
    assert "99" in caught.value.problem
    assert not broker.is_running()


def listening_addresses(process: psutil.Process) -> set[str]:
    return {
        found.laddr.ip.removeprefix("::ffff:")
        for found in process.net_connections()
        if found.status == psutil.CONN_LISTEN
    }
