"""The pipeline as its users run it: the job's command, on topics of a test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from exercise_05_streaming.topics import PARTITIONS, TILES, TOPICS, TRANSACTIONS, create_topics
from lab.stack.kafka import KafkaBroker
from lab.stack.redis import RedisServer
from tests.exercise_05.payments import Record
from tests.settings_in_force import settings_in_force, variables
from tests.waiting import PATIENCE_S, eventually

JOB = [sys.executable, "-m", "exercise_05_streaming.production.job"]
SOLUTION = [sys.executable, "-m", "exercise_05_streaming.flink_streaming_features"]
DEAD = "transactions_dead"
POLL_S = 0.1


@dataclass
class Pipeline:
    """Kafka, Redis and a folder; `env()` makes any of the exercise's commands use them.

    One pipeline at a time is in use.
    """

    broker: KafkaBroker
    redis: RedisServer
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    command: list[str] = field(default_factory=lambda: JOB)

    def env(self, **changes: Any) -> dict[str, str]:
        """Return the environment of a process that uses the pipeline."""
        ours = {
            "kafka_port": self.broker.port,
            "redis_port": self.redis.port,
            "build_dir": self.folder,
            "checkpoint_interval": timedelta(seconds=1),
        }
        return os.environ | variables(**ours | self.settings | changes)

    def empty_services(self) -> None:
        """Create the topics again and empty Redis."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        names = set(admin.list_topics(timeout=PATIENCE_S).topics) & {TRANSACTIONS, TILES, DEAD}
        for deleted in admin.delete_topics([*names]).values() if names else ():
            deleted.result(PATIENCE_S)
        eventually(lambda: not names & set(admin.list_topics(timeout=PATIENCE_S).topics))
        self._create_log(admin)
        with settings_in_force(kafka_port=self.broker.port):
            create_topics()
        self.redis.client().flushall()

    def _create_log(self, admin: AdminClient) -> None:
        """Create the topics; records keep the times that a test gives them."""
        options = TOPICS[TRANSACTIONS] | {"message.timestamp.type": "CreateTime"}
        log = NewTopic(TRANSACTIONS, PARTITIONS, config=options)
        admin.create_topics([log])[TRANSACTIONS].result(PATIENCE_S)

    def set_option(self, topic: str, name: str, value: str) -> None:
        """Change an option of a topic, as another operator may."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)

    def checkpoints(self) -> list[Path]:
        """Return the complete checkpoints."""
        return list(self.folder.glob("flink/checkpoints/**/_metadata"))

    def send(self, records: Iterable[Record]) -> None:
        """Send records, each to the partition of its key, and wait until Kafka has them."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "linger.ms": 5})
        for user, value, record_ms in records:
            producer.produce(TRANSACTIONS, value, user, timestamp=record_ms)
            producer.poll(0)
        assert producer.flush(PATIENCE_S) == 0

    def events(self) -> list[Message]:
        """Return everything in the log, in the order of its partitions."""
        with reader(self.broker, TRANSACTIONS) as topic:
            return sorted(topic.all(), key=lambda m: (m.partition(), m.offset()))

    def tiles(self) -> "Newest":
        """Return the topic of tiles, as far as it has been read."""
        return Newest(self.broker, TILES)

    def dead_letters(self) -> "Newest":
        return Newest(self.broker, DEAD)

    @contextmanager
    def job(self, *options: str) -> Iterator["Job"]:
        """Run the job's command, in a folder that is not the project's."""
        job = Job(self, options)
        try:
            yield job
        finally:
            job.kill()


NewPipeline = Callable[[], Pipeline]


class Job:
    """The job's process and its output."""

    def __init__(self, pipeline: Pipeline, options: Iterable[str]) -> None:
        self.log = pipeline.folder / f"job-{time.monotonic_ns()}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*pipeline.command, *options],
                cwd=pipeline.folder,
                env=pipeline.env(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_until_running(self) -> None:
        eventually(lambda: "is running; Ctrl-C" in self.output or self._has_ended())

    def restart_report(self) -> str:
        """Return the line on Flink's restart, once it is there."""
        eventually(lambda: "Flink restarts the job: " in self.output)
        (line,) = [line for line in self.output.splitlines() if "Flink restarts the job" in line]
        return line

    def stop(self) -> int:
        """Stop it as an operator does; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def _has_ended(self) -> bool:
        assert self.process.poll() is None, self.output
        return False


class Topic:
    """All partitions of a topic, from the beginning on."""

    def __init__(self, consumer: Consumer, name: str) -> None:
        self._consumer = consumer
        consumer.assign([TopicPartition(name, number, 0) for number in range(PARTITIONS)])

    def all(self) -> list[Message]:
        """Return the records that are there now."""
        found: list[Message] = []
        ends: set[int | None] = set()
        while len(ends) < PARTITIONS:
            for message in self._consumer.consume(10_000, timeout=POLL_S):
                if message.error():
                    ends.add(message.partition())
                else:
                    found.append(message)
        return found


@contextmanager
def reader(broker: KafkaBroker, name: str) -> Iterator[Topic]:
    options = {"bootstrap.servers": broker.bootstrap, "group.id": name}
    consumer = Consumer({**options, "enable.partition.eof": True})
    try:
        yield Topic(consumer, name)
    finally:
        consumer.close()


class Newest:
    """The newest value of each key of a compacted topic, and every value that there was."""

    def __init__(self, broker: KafkaBroker, name: str) -> None:
        self._broker, self._name = broker, name

    def history(self) -> list[Any]:
        with reader(self._broker, self._name) as topic:
            records = topic.all()
        found = [(record.key(), json.loads(record.value() or b"")) for record in records]
        for _, value in found:
            value.pop("generation", None)  # the time of a job's start
        return found

    def values(self) -> list[Any]:
        return list(dict(self.history()).values())
