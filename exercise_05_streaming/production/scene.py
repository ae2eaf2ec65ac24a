"""The pipeline on services of its own, with 20,000 events in flight."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from confluent_kafka import Consumer, TopicPartition

from exercise_05_streaming.topics import PARTITIONS, TRANSACTIONS
from lab.errors import UserError
from lab.stack.kafka import KafkaBroker, private_kafka
from lab.stack.redis import RedisServer, private_redis

EVENTS = 20_000
PRODUCE = f"produce_events --count {EVENTS} --rate 2000 --users 500"
FAULTY = "--late 0.1 --duplicates 0.1 --malformed 0.02"
IN_FLIGHT = EVENTS // 10  # by then the producer is connected, and most are still to come
TIMEOUT_S = 120


@dataclass
class Scene:
    """Services, and the job on them; `env` makes any of the exercise's commands use them."""

    kafka: KafkaBroker
    redis: RedisServer
    folder: Path
    parts: str
    env: dict[str, str] = field(default_factory=dict)
    jobs: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = os.environ | {
            "LAB_KAFKA_PORT": str(self.kafka.port),
            "LAB_REDIS_PORT": str(self.redis.port),
            "LAB_BUILD_DIR": str(self.folder),
            "LAB_CHECKPOINT_INTERVAL": "PT1S",
        }
        assert self._start("topics").wait(TIMEOUT_S) == 0

    def start_job(self, options: str = "") -> None:
        """Start the job and wait until Flink has it."""
        log = self.folder / f"job-{len(self.jobs)}.log"
        job = self._start(f"production.job --parts {self.parts} {options}", log)
        self.jobs.append(job)
        self.wait_until(lambda: " is running; " in log.read_text() or job.poll() is not None)
        if job.poll() is not None:
            raise UserError(f"the job ended: {log.read_text()}")

    def kill_job(self) -> None:
        """Kill the job's process and its JVM at once, as when power fails."""
        job = psutil.Process(self.jobs[-1].pid)
        for process in [job, *job.children(recursive=True)]:
            process.kill()
        self.jobs[-1].wait()

    @contextmanager
    def events_in_flight(self) -> Iterator[None]:
        """Send events meanwhile; all must be delivered."""
        producer = self._start(f"{PRODUCE} {FAULTY}")
        try:
            self.wait_until(lambda: self.events_in_log() > IN_FLIGHT, poll_s=0.1)
            yield
            if producer.wait(TIMEOUT_S) != 0:
                raise UserError("not all events were delivered")
        finally:
            producer.kill()
            producer.wait()

    def checkpoints(self) -> dict[Path, bool]:
        """Return the folders of checkpoints, and for each whether it is complete."""
        folders = self.folder.glob("flink/checkpoints/*/*/chk-*")
        return {folder: (folder / "_metadata").exists() for folder in folders}

    def wait_for_writes(self) -> None:
        """Wait until Redis gets rows."""
        before = self._rows_written()
        self.wait_until(lambda: self._rows_written() > before, poll_s=0.01)

    def require_exact(self) -> None:
        """Raises UserError unless tiles and features equal a recomputation of all events in time.

        The log has to hold each event once.
        """
        if (found := self.events_in_log()) != EVENTS:
            raise UserError(f"of {EVENTS:,} delivered events the log holds {found:,}")
        self.wait_until(lambda: self._start("production.verify").wait(TIMEOUT_S) == 0, poll_s=1)

    def events_in_log(self) -> int:
        """Return the number of records in the topic of transactions."""
        client = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "scene"})
        partitions = [TopicPartition(TRANSACTIONS, number) for number in range(PARTITIONS)]
        try:
            return sum(client.get_watermark_offsets(p, TIMEOUT_S)[1] for p in partitions)
        finally:
            client.close()

    def wait_until(self, condition: Callable[[], bool], poll_s: float = 0.001) -> None:
        """Wait for a condition; a checkpoint takes milliseconds. Raises UserError."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise UserError(f"a condition did not hold within {TIMEOUT_S} s")
            time.sleep(poll_s)

    def close(self) -> None:
        """End the job, if it runs."""
        if self.jobs and self.jobs[-1].poll() is None:
            self.kill_job()

    def _rows_written(self) -> int:
        with self.redis.client() as client:
            commands = client.info("commandstats")
        return int(commands.get("cmdstat_hset", {"calls": 0})["calls"])

    def _start(self, command: str, log: Path | None = None) -> "subprocess.Popen[bytes]":
        module, *options = command.split()
        words = [sys.executable, "-m", f"exercise_05_streaming.{module}", *options]
        with (log or Path(os.devnull)).open("wb") as output:
            errors = output if log else None
            return subprocess.Popen(words, env=self.env, stdout=output, stderr=errors)


@contextmanager
def new_scene(parts: str) -> Iterator[Scene]:
    """Start a Kafka and a Redis that nothing else uses."""
    with TemporaryDirectory(prefix="scene_") as temporary:
        folder = Path(temporary)
        with private_kafka(folder) as kafka, private_redis(folder) as redis:
            scene = Scene(kafka, redis, folder, parts)
            try:
                yield scene
            finally:
                scene.close()
