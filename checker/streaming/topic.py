"""The topic of payments on a submission's own Kafka: what the grader sends, and what it takes."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from checker.streaming.events import Event
from lab.stack.kafka import KafkaBroker

TOPIC = "transactions"
PARTITIONS = 4
WAIT_S = 0.25
QUIET = {"log_level": 0}
BLOCK = 512  # bytes, of st_blocks


class Topic:
    """The topic, which is new, and a client that writes to it."""

    def __init__(self, broker: KafkaBroker, timeout_s: float) -> None:
        address: dict[str, str | int | float | bool] = {"bootstrap.servers": broker.bootstrap}
        admin = AdminClient({**address, **QUIET})
        created = admin.create_topics([NewTopic(TOPIC, PARTITIONS, replication_factor=1)])
        created[TOPIC].result(timeout_s)
        self._producer = Producer({**address, **QUIET})

    def send(self, events: Iterable[Event], record_time: datetime | None = None) -> list[Event]:
        """Send events, and wait until Kafka has them; returns them.

        Their records have the time of sending, or the one given.
        """
        sent, timestamp = list(events), round(record_time.timestamp() * 1_000) if record_time else 0
        for event in sent:
            self._produce(event, timestamp)
        self._producer.flush()
        return sent

    def _produce(self, event: Event, timestamp: int) -> None:
        record = (TOPIC, event.packed(), event.user.encode(), event.partition)
        while True:
            try:
                self._producer.produce(*record, timestamp=timestamp)
            except BufferError:
                self._producer.poll(WAIT_S)
            else:
                return


def bytes_on_disk(folder: Path) -> int:
    """Return what the files below a folder take on the disk; Kafka may delete them meanwhile."""
    found = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found += file.stat().st_blocks * BLOCK
    return found
