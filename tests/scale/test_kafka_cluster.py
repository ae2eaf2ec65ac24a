"""Three brokers, one of them killed under load: every acknowledged event is stored once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from exercise_05_streaming.topics import TRANSACTIONS
from exercise_05_streaming.verify import read_log
from scale.kafka_cluster import bootstrap, kafka_cluster
from tests.settings_in_force import settings_in_force, variables
from tests.waiting import eventually

pytestmark = pytest.mark.scale

EVENTS, TIMEOUT_S = 20_000, 240


class Load:
    """A producer with exercise 5's options, and what Kafka has answered."""

    def __init__(self, servers: str) -> None:
        options = {"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 0}
        self.producer, self.acknowledged = Producer(options), set[bytes]()
        self.refused: list[str] = []

    def send(self, number: int) -> None:
        """Send an event without waiting for the answer."""
        value = str(number).encode()
        self.producer.produce(TRANSACTIONS, value, value, on_delivery=self._note)
        self.producer.poll(0)

    def _note(self, error: object, message: Message) -> None:
        if error:
            self.refused.append(str(error))
        else:
            self.acknowledged.add(message.value() or b"")


def test_what_is_acknowledged_is_there_once(tmp_path: Path) -> None:
    """The topics are those of exercise 5, made by its own command."""
    with kafka_cluster(tmp_path) as brokers:
        env = os.environ | variables(kafka_port=brokers[0].port)
        topics = [sys.executable, "-m", "exercise_05_streaming.topics"]
        subprocess.run(topics, env=env, check=True, timeout=TIMEOUT_S)
        load = Load(bootstrap(brokers))
        for number in range(EVENTS):
            load.send(number)
            if number == EVENTS // 3:
                eventually(lambda: load.producer.poll(0.1) and load.acknowledged)
                brokers[2].kill()
        assert load.producer.flush(TIMEOUT_S) == 0
        with settings_in_force(kafka_port=brokers[0].port):
            stored = [value or b"" for value, _ in read_log()]
    assert load.refused == []
    assert len(load.acknowledged) == EVENTS
    assert sorted(stored) == sorted(load.acknowledged)
