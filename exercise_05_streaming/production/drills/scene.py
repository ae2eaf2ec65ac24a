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

PACKAGE = "exercise_05_streaming"
EVENTS, RATE = 20_000, 2_000
IN_FLIGHT = EVENTS // 10  # by then the producer is connected, and most are still to come
TRAFFIC = {"users": 500, "late": 0.1, "duplicates": 0.1, "malformed": 0.02}
PATIENCE_S = 120
POLL_S = 0.001  # a checkpoint is a matter of milliseconds


@dataclass
class Scene:
    """Services, and the job on them; `env` makes any of the exercise's commands use them."""

    kafka: KafkaBroker
    redis: RedisServer
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours = {
            "LAB_KAFKA_PORT": str(self.kafka.port),
            "LAB_REDIS_PORT": str(self.redis.port),
            "LAB_BUILD_DIR": str(self.folder),
            "LAB_CHECKPOINT_INTERVAL": "PT1S",
        }
        self.env = {**os.environ, **ours}
        self._started: list[subprocess.Popen[bytes]] = []
        self._run("topics")

    def start_job(self, *options: str) -> None:
        """Start the job, and wait until Flink has it."""
        log = self.folder / f"job-{len(self._started)}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", f"{PACKAGE}.production.job", *options]
            job = subprocess.Popen(command, env=self.env, stdout=output, stderr=output)
        self._started.append(job)
        self.wait_until(lambda: " is running; " in log.read_text() or job.poll() is not None)
        if job.poll() is not None:
            raise UserError(f"the job ended: {log.read_text()}")

    @contextmanager
    def events_in_flight(self) -> Iterator[None]:
        """Send events meanwhile, late ones and doubled ones among them; all must be delivered."""
        options = {**TRAFFIC, "rate": RATE, "count": EVENTS}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", f"{PACKAGE}.produce_events", *words]
        producer = subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL)
        try:
            self.wait_until(lambda: self.events_in_log() > IN_FLIGHT, poll_s=0.1)
            yield
            if producer.wait(PATIENCE_S) != 0:
                raise UserError("not all events were delivered")
        finally:
            producer.kill()
            producer.wait()

    def job(self) -> psutil.Process:
        """The process of the job that was started last."""
        return psutil.Process(self._started[-1].pid)

    def kill_job(self) -> None:
        """The job's process, its JVM and its writer at once, as when power fails."""
        for process in [self.job(), *self.job().children(recursive=True)]:
            process.kill()
        self._started[-1].wait()

    def checkpoints(self) -> list[Path]:
        """The folders of checkpoints, be they complete or not."""
        return list(self.folder.glob("flink/checkpoints/*/*/chk-*"))

    def require_exact(self) -> None:
        """Raises UserError unless all tiles and all of Redis soon are as a recount says.

        The recount is of the log, so that has to hold each event once.
        """
        if (found := self.events_in_log()) != EVENTS:
            raise UserError(f"of {EVENTS:,} delivered events the log holds {found:,}")
        self.wait_until(lambda: self._run("production.verify", check=False) == 0, poll_s=1)

    def events_in_log(self) -> int:
        """How many records the topic of transactions has got."""
        client = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "drill"})
        topic, numbers = TRANSACTIONS, range(PARTITIONS)
        partitions = [TopicPartition(topic, number) for number in numbers]
        try:
            return sum(client.get_watermark_offsets(p, PATIENCE_S)[1] for p in partitions)
        finally:
            client.close()

    def wait_until(self, condition: Callable[[], bool], poll_s: float = POLL_S) -> None:
        """Raises UserError when it does not come true in time."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise UserError("the drill failed: it did not come true in time")
            time.sleep(poll_s)

    def close(self) -> None:
        """End the job, if it runs."""
        if self._started[-1:] and self._started[-1].poll() is None:
            self.kill_job()

    def _run(self, module: str, *, check: bool = True) -> int:
        command = [sys.executable, "-m", f"{PACKAGE}.{module}"]
        return subprocess.run(
            command, env=self.env, stdout=subprocess.DEVNULL, timeout=PATIENCE_S, check=check
        ).returncode


@contextmanager
def new_scene() -> Iterator[Scene]:
    """A Kafka and a Redis that nobody else uses."""
    with TemporaryDirectory(prefix="drill_") as temporary:
        folder = Path(temporary)
        with private_kafka(folder) as kafka, private_redis(folder) as redis:
            scene = Scene(kafka, redis, folder)
            try:
                yield scene
            finally:
                scene.close()
