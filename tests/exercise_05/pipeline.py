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

import psutil
from confluent_kafka import Message, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from exercise_05_streaming.production.verify import accepted_events
from exercise_05_streaming.topics import (
    TILES,
    TOPICS,
    TRANSACTIONS,
    TopicReader,
    create_topics,
)
from exercise_05_streaming.verify import Record as Logged
from exercise_05_streaming.verify import recompute_tiles
from lab.stack.kafka import KafkaBroker
from lab.stack.redis import RedisServer
from tests.exercise_05.payments import Record
from tests.exercise_05.tiles_by_hand import Tile
from tests.settings_in_force import settings_in_force, variables
from tests.waiting import PATIENCE_S, eventually

JOB = [sys.executable, "-m", "exercise_05_streaming.production.job"]
SOLUTION = [sys.executable, "-m", "exercise_05_streaming.flink_streaming_features"]
DEAD = "transactions_dead"


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

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.broker.bootstrap})

    def empty_services(self) -> None:
        """Create the topics again and empty Redis."""
        self.create_again(TRANSACTIONS, TILES, DEAD)
        self.redis.client().flushall()

    def create_again(self, *topics: str) -> None:
        """Create topics again; records of the log keep the times that a test gives them."""
        admin = self.admin()
        names = set(admin.list_topics(timeout=PATIENCE_S).topics) & {*topics}
        for deleted in admin.delete_topics([*names]).values() if names else ():
            deleted.result(PATIENCE_S)
        eventually(lambda: not names & set(admin.list_topics(timeout=PATIENCE_S).topics))
        log = TOPICS[TRANSACTIONS] | {"message.timestamp.type": "CreateTime"}
        with settings_in_force(kafka_port=self.broker.port):
            create_topics(TOPICS | {TRANSACTIONS: log})

    def set_option(self, topic: str, name: str, value: str) -> None:
        set_option(self.admin(), topic, name, value)

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
        return self._read(TRANSACTIONS)

    def tiles(self) -> list[Tile]:
        """Return the newest version of each tile, in order."""
        newest = dict(self.versions_of_tiles())
        return sorted(newest.values(), key=lambda tile: (tile["user_id"], tile["tile_start"]))

    def versions_of_tiles(self) -> list[tuple[bytes, Tile]]:
        """Return every tile that was emitted, with its key."""
        return [(key, tile) for key, tile in self._values(TILES) if tile.pop("generation")]

    def dead_letters(self) -> list[Any]:
        return list(dict(self._values(DEAD)).values())

    def wait_until_exact(self) -> None:
        """Wait until the topic of tiles has those of the log."""
        expected = recomputed_tiles(self.events())
        eventually(lambda: self.tiles() == expected)

    def _read(self, topic: str) -> list[Message]:
        with settings_in_force(kafka_port=self.broker.port):
            records = list(TopicReader(topic).to_the_end())
        return sorted(records, key=lambda record: (record.partition(), record.offset()))

    def _values(self, topic: str) -> list[tuple[Any, Any]]:
        return [(record.key(), json.loads(record.value() or b"")) for record in self._read(topic)]

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
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; return the exit status."""
        return self.process.wait(PATIENCE_S)

    def jvm(self) -> psutil.Process:
        """Return the process in which Flink runs."""
        (jvm,) = psutil.Process(self.process.pid).children(recursive=True)
        return jvm

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def _has_ended(self) -> bool:
        assert self.process.poll() is None, self.output
        return False


def set_option(admin: AdminClient, topic: str, name: str, value: str) -> None:
    """Change an option of a topic, as another operator may."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)


def recomputed_tiles(messages: Iterable[Message]) -> list[Tile]:
    """Return the tiles that these records make, each transaction once, in order."""
    return recompute_tiles(accepted_events(logged(messages))).rows(named=True)


def logged(messages: Iterable[Message]) -> list[Logged]:
    """Return records as the recomputation reads them."""
    return [(message.value(), message.timestamp()[1]) for message in messages]
