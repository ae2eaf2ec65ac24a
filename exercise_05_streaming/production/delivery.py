"""Sends records to Kafka, and counts those that the broker has acknowledged.

Idempotent, and acknowledged by all replicas: what this producer sends again after an error is
stored once. An event that the shop itself sends twice is another matter: transaction_id tells it.
"""

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from exercise_05_streaming.production.events import Record
from lab.errors import UserError
from lab.settings import settings

POLL_S = 0.1


class Delivery:
    """A producer of one topic; `sent`, `delivered` and `failed` count records."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """UserError when no broker answers in time, or when it has no such topic."""
        self.sent = self.delivered = self.failed = 0
        self._error: KafkaError | None = None
        self._topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "delivery.timeout.ms": round(settings.kafka_delivery_timeout_s * 1_000),
                "log_level": 0,  # what is wrong is said once, by a UserError
            }
        )
        self._require_topic(bootstrap)

    def send(self, record: Record) -> None:
        """Hand a record over; waits while too many are under way. UserError once one has failed."""
        while not self._is_queued(record):
            self._producer.poll(POLL_S)
        self.sent += 1
        self._producer.poll(0)
        self._raise_failure()

    def finish(self) -> None:
        """Wait until each record is acknowledged. UserError when one was not."""
        self._producer.flush()
        self._raise_failure()

    def _is_queued(self, record: Record) -> bool:
        try:
            self._producer.produce(
                self._topic,
                record.value,
                record.key,
                timestamp=record.timestamp_ms,
                on_delivery=self._count,
            )
        except BufferError:
            return False
        return True

    def _count(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.failed += 1
            self._error = error

    def _raise_failure(self) -> None:
        if self._error is not None:
            raise UserError(
                f"{self.delivered:,} of {self.sent:,} events were delivered, then Kafka said: "
                f"{self._error.str()}",
                "lab status",
            )

    def _require_topic(self, bootstrap: str) -> None:
        try:
            topics = self._producer.list_topics(timeout=settings.kafka_timeout_s).topics
        except KafkaException as error:
            raise UserError(f"no Kafka broker answers at {bootstrap}", "lab up kafka") from error
        if self._topic not in topics:
            raise UserError(
                f"Kafka at {bootstrap} has no topic {self._topic}",
                "python -m exercise_05_streaming.production.topics",
            )
