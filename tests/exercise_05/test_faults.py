"""A service or the job is killed under load: afterwards Redis equals a recomputation of the log.

One pipeline has all faults, one after the other; the last one ends its job.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from threading import Event

import pytest

from lab.stack.kafka import private_kafka
from lab.stack.redis import private_redis
from lab.stack.service import Service
from tests.exercise_05.pipeline import Job, Pipeline
from tests.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.drills]

EVENTS, OUTAGE_S, TIMEOUT_S = 20_000, 3, 120
IN_FLIGHT = EVENTS // 10  # by then the producer is connected, and most are still to come
FAULTY = "--late 0.1 --duplicates 0.1 --malformed 0.02"
LOAD = f"produce_events --count {EVENTS} --rate 2000 --users 500 {FAULTY}"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Yield a pipeline whose services a test may kill."""
    folder = tmp_path_factory.mktemp("faults")
    with private_kafka(folder) as kafka, private_redis(folder) as redis:
        pipeline = Pipeline(kafka, redis, folder)
        command(pipeline, "topics").wait(TIMEOUT_S)
        yield pipeline


@pytest.fixture(scope="module")
def job(pipeline: Pipeline) -> Iterator[Job]:
    with pipeline.job() as job:
        job.wait_until_running()
        yield job


def command(pipeline: Pipeline, words: str) -> "subprocess.Popen[bytes]":
    """Start a command of the exercise."""
    module, *options = words.split()
    words_of_command = [sys.executable, "-m", f"exercise_05_streaming.{module}", *options]
    return subprocess.Popen(words_of_command, env=pipeline.env())


def restart(service: Service, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Kill a service, and start it again after some seconds."""
    process = service.pid_file.process()
    assert process is not None
    process.kill()
    Event().wait(OUTAGE_S)
    service.stop()
    meanwhile()
    service.start()


def kill_broker(pipeline: Pipeline, job: Job) -> None:
    restart(pipeline.broker)


def kill_redis(pipeline: Pipeline, job: Job) -> None:
    restart(pipeline.redis)


def empty_redis(pipeline: Pipeline, job: Job) -> None:
    lost = pipeline.redis.directory / "appendonlydir"
    restart(pipeline.redis, lambda: shutil.rmtree(lost))


def kill_job(pipeline: Pipeline, job: Job) -> None:
    """Kill the process and its JVM while a checkpoint is being written; it is started again."""

    def is_being_written() -> bool:
        return len([*pipeline.folder.glob("flink/**/chk-*")]) > len(pipeline.checkpoints())

    eventually(is_being_written)
    job.jvm().kill()
    job.kill()


@pytest.mark.parametrize("inject", [kill_broker, kill_redis, empty_redis, kill_job])
def test_it_is_exact_after(
    pipeline: Pipeline, job: Job, inject: Callable[[Pipeline, Job], None]
) -> None:
    before = len(pipeline.events())
    load = command(pipeline, LOAD)
    eventually(lambda: len(pipeline.events()) > before + IN_FLIGHT)
    eventually(lambda: bool(pipeline.checkpoints()))
    inject(pipeline, job)
    with pipeline.job() if inject is kill_job else nullcontext(job) as running:
        running.wait_until_running()
        assert load.wait(TIMEOUT_S) == 0
        assert len(pipeline.events()) == before + EVENTS
        eventually(lambda: command(pipeline, "production.verify").wait(TIMEOUT_S) == 0)
