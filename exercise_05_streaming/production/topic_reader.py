"""Reads a topic: from its beginning to its end, then what comes."""

import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
)
from confluent_kafka import TopicPartition as Partition
from confluent_kafka.admin import AdminClient

from lab.errors import UserError
from lab.settings import settings


class TopicReader:
    """All partitions at once, from the oldest record on.

    No offset is committed: what was read lives in the memory of who reads it, and so does how far.
    """

    def __init__(self, name: str) -> None:
        """Raises UserError when Kafka does not answer, or has no such topic."""
        self._name = name
        self._address = settings.kafka_address
        self._away_since: float | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": self._address,
                "group.id": "reader",  # wanted by the client, used for nothing
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "error_cb": self._on_error,
                "log_level": 0,  # what is wrong is said once, by a UserError
            }
        )
        self._partitions = self._find_partitions()
        self.id = self._find_id()
        beginning = [Partition(self._name, n, OFFSET_BEGINNING) for n in self._partitions]
        self._consumer.assign(beginning)

    def __enter__(self) -> "TopicReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def to_the_end(self) -> Iterator[list[Message]]:
        """What is in the topic now, in batches; raises UserError as `poll` does."""
        unread = set(self._partitions)
        while unread:
            messages = self._consume()
            unread -= {message.partition() for message in messages if is_end(message)}
            yield records_of(messages)

    def poll(self) -> list[Message]:
        """What has come since; waits a moment for more.

        Raises UserError when Kafka has been away for too long.
        """
        return records_of(self._consume())

    def _consume(self) -> list[Message]:
        messages = self._consumer.consume(settings.tiles_at_once, settings.tiles_poll_s)
        if messages:
            self._away_since = None
        elif self._away_since is not None:
            self._check_patience(self._away_since)
        return messages

    def _check_patience(self, away_since: float) -> None:
        try:
            self._consumer.list_topics(self._name, timeout=1)
            self._away_since = None  # it is back, and silent
        except KafkaException as error:
            if time.monotonic() - away_since > settings.writer_patience_s:
                raise UserError(
                    f"Kafka at {self._address} has been away for {settings.writer_patience_s:g} s",
                    "lab up kafka",
                ) from error

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._away_since is None:
            self._away_since = time.monotonic()

    def _find_partitions(self) -> list[int]:
        try:
            found = self._consumer.list_topics(self._name, timeout=settings.kafka_timeout_s)
        except KafkaException as error:
            raise UserError(f"Kafka does not answer at {self._address}", "lab up kafka") from error
        topic = found.topics[self._name]
        if topic.error:
            raise UserError(f"Kafka at {self._address} has no topic {self._name}", "lab run 5")
        return list(topic.partitions)

    def _find_id(self) -> str:
        admin = AdminClient({"bootstrap.servers": self._address, "log_level": 0})
        asked: dict[str, Any] = admin.describe_topics(TopicCollection([self._name]))
        return str(asked[self._name].result(settings.kafka_timeout_s).topic_id)


def is_end(message: Message) -> bool:
    """Whether this only says that a partition has no more."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def records_of(messages: list[Message]) -> list[Message]:
    """Those that are records; raises KafkaException for an error among them."""
    records = []
    for message in messages:
        if message.error() is None:
            records.append(message)
        elif not is_end(message):
            raise KafkaException(message.error())
    return records
