"""The solution's job with production parts: view `accepted`, dead letters, savepoints, cluster.

python -m exercise_05_streaming.production.job                  # resumes where it ended
python -m exercise_05_streaming.production.job --resume none    # reads the log from its start
python -m exercise_05_streaming.production.job --cluster        # on a Flink cluster
"""

import logging
import os
import signal
from datetime import timedelta
from pathlib import Path
from string import Template
from threading import Event
from typing import TYPE_CHECKING, Annotated

import redis
import typer
from confluent_kafka.admin import AdminClient, NewTopic

from exercise_05_streaming.production.checkpoints import (
    checkpoint_folder,
    held,
    id_of_log,
    resume_point,
)
from exercise_05_streaming.production.running_job import ENDED, LOGS, RunningJob
from exercise_05_streaming.production.writer_supervisor import running_writer
from exercise_05_streaming.topics import PARTITIONS, TRANSACTIONS, create_topics
from lab.errors import UserError, run_script
from lab.settings import settings
from lab.stack.flink import connector_jars, function_jar
from lab.stack.flink.cluster import ask
from lab.stack.preflight import require_java

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

FOLDER = Path(__file__).parent
JOB_NAME = "user streaming features"
WATCH_S = 0.5


def open_flink(folder: Path, resume: Path | None = None, **more: str) -> "TableEnvironment":
    """Return the solution's environment with production options; a job resumes at `resume`."""
    options = job_options() | checkpoint_options(folder)
    if resume:
        # Flink deletes what it has claimed once a newer checkpoint replaces it.
        mode = "CLAIM" if resume.is_relative_to(folder) else "NO_CLAIM"
        options |= {"execution.state-recovery.path": f"file://{resume}"}
        options |= {"execution.state-recovery.claim-mode": mode}
    start_jvm()
    from exercise_05_streaming.flink_streaming_features import FEATURE_JOB, create_environment

    return create_environment(FEATURE_JOB | options | more)


def job_options() -> dict[str, str]:
    """Return the options of production; each is a setting or a measured gain."""
    jars = [*connector_jars(settings), function_jar(FOLDER / "ReadTransaction.java", settings)]
    return {
        "pipeline.jars": ";".join(jar.as_uri() for jar in jars),
        "pipeline.name": JOB_NAME,
        "pipeline.object-reuse": "true",
        # Kafka's threads write some log lines after a job has ended, which is no leak.
        "classloader.check-leaked-classloader": "false",
        "parallelism.default": str(settings.flink_parallelism),
        "table.exec.state.ttl": milliseconds(settings.state_ttl),
        # Tiles and dead letters share one view.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
        "table.exec.mini-batch.allow-latency": milliseconds(settings.flink_emit_delay),
        "table.exec.mini-batch.size": "50000",
        # A job that fails again and again ends and reports why.
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": str(
            settings.flink_restarts
        ),
    }


def checkpoint_options(folder: Path) -> dict[str, str]:
    """Return the options of checkpoints and savepoints in `folder`, which stay after the job."""
    return {
        "execution.checkpointing.dir": f"file://{folder}",
        "execution.checkpointing.savepoint-dir": f"file://{folder}/savepoints",
        "execution.checkpointing.interval": milliseconds(settings.checkpoint_interval),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.incremental": "true",
        "state.backend.type": settings.state_backend,
    }


def cluster_options() -> dict[str, str]:
    """Return the options of a remote cluster. Raises UserError when it runs the job already."""
    address = settings.flink_rest_url
    found = ask(settings, "/jobs/overview")
    if found is None:
        raise UserError(f"no Flink cluster answers at {address}", "python -m lab.stack.flink")
    for job in found["jobs"]:
        if job["name"] == JOB_NAME and job["state"] not in ENDED:
            stop = f"curl -X PATCH {address}/jobs/{job['jid']}"
            raise UserError(f"the cluster at {address} runs the job as {job['jid']}", stop)
    target = {"execution.target": "remote", "execution.attached": "true"}
    rest = {"rest.address": settings.host, "rest.port": str(settings.flink_rest_port)}
    return target | rest


def start_jvm() -> None:
    """Start a JVM that ignores SIGTERM, so that this process can still take a savepoint."""
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ["FLINK_LOG_DIR"] = str(LOGS)
    os.environ["JVM_ARGS"] = f"-Xmx{settings.flink_heap}"
    logging.getLogger().addHandler(logging.NullHandler())  # py4j logs what it also raises
    from pyflink.java_gateway import get_gateway

    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # inherited
    try:
        get_gateway()
    finally:
        signal.signal(signal.SIGTERM, handler)


def start_job(t_env: "TableEnvironment", *, blackhole: bool = False) -> RunningJob:
    """Start tiles and dead letters as one job; `blackhole` replaces both sinks."""
    from exercise_05_streaming.flink_streaming_features import compute_features, define_sink

    for statement in (*statements("accepted.sql"), *statements("dead_letters.sql")):
        t_env.execute_sql(statement)
    compute_features(t_env)
    define_sink(t_env)
    flows = t_env.create_statement_set()
    for table, view in (("user_tiles", "tiles"), ("dead_letters", "refused")):
        if blackhole:
            drop = f"{table}_dropped WITH ('connector' = 'blackhole') LIKE {table}"
            t_env.execute_sql(f"CREATE TEMPORARY TABLE {drop} (EXCLUDING OPTIONS)")
        sink = f"{table}_dropped" if blackhole else table
        flows.add_insert_sql(f"INSERT INTO {sink} SELECT * FROM {view}")
    return RunningJob(flows.execute())


def statements(file: str) -> list[str]:
    """Return the statements of an SQL file, with the settings filled in."""
    lines = (FOLDER / file).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    filled = Template(text).substitute(
        topic=TRANSACTIONS,
        dead_letter_topic=settings.dead_letter_topic,
        bootstrap=settings.kafka_address,
        allowed_lateness_ms=settings.allowed_lateness // timedelta(milliseconds=1),
        allowed_ahead_ms=settings.allowed_ahead // timedelta(milliseconds=1),
    )
    return [part.strip() for part in filled.split(";") if part.strip()]


def prepare_services() -> str:
    """Require Java, Kafka and Redis, create the topics, and return the id of the log."""
    require_java(needed_by="flink")
    create_topics()
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    dead = NewTopic(settings.dead_letter_topic, PARTITIONS, config={"cleanup.policy": "compact"})
    created = admin.create_topics([dead], operation_timeout=settings.kafka_timeout_s)
    created[settings.dead_letter_topic].exception()  # it exists already
    try:
        redis.Redis(settings.host, settings.redis_port).ping()
    except redis.RedisError as error:
        problem = f"Redis does not answer at {settings.redis_address}"
        raise UserError(problem, "lab up redis") from error
    return id_of_log()


def run(job: RunningJob, savepoints: Path) -> None:
    """Run the writer beside the job until a signal; then stop the job with a savepoint."""
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with running_writer() as writer:
            while not stopped.wait(WATCH_S):
                job.require_running()
                writer.restart_if_ended()
    except BaseException:
        job.cancel()
        raise
    try:
        print(f"Stopped; the savepoint is {job.stop(savepoints)}")
    except UserError as error:
        job.cancel()
        print(f"Stopped without a savepoint, which loses nothing: {error.problem}")


def milliseconds(duration: timedelta) -> str:
    """Return a duration as Flink's options have it."""
    return f"{duration // timedelta(milliseconds=1)} ms"


def main(
    resume: Annotated[str, typer.Option(help="latest, none, or a checkpoint's path")] = "latest",
    cluster: Annotated[bool, typer.Option("--cluster", help="Submit to a Flink cluster")] = False,
) -> None:
    """Keep the streaming features in Redis until Ctrl-C."""
    folder = checkpoint_folder(prepare_services())
    options = cluster_options() if cluster else {}
    with held(folder):
        start = resume_point(folder, resume)
        print(f"Starting from {start or 'the beginning of the log'}", flush=True)
        job = start_job(open_flink(folder, start, **options))
        print(f"Job {job.id} is running; Ctrl-C stops it with a savepoint", flush=True)
        run(job, folder / "savepoints")


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
