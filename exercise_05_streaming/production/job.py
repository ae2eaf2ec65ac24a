"""The solution's job with production parts: accepted events, dead letters, savepoints, a cluster.

python -m exercise_05_streaming.production.job                  # resumes where it ended
python -m exercise_05_streaming.production.job --fresh          # reads the log from its beginning
python -m exercise_05_streaming.production.job --cluster        # on a Flink cluster
python -m exercise_05_streaming.production.job --parts writer   # the solution's job, this writer
"""

import inspect
import os
import signal
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from string import Template
from threading import Event
from typing import Annotated

import redis
import typer
from pyflink.java_gateway import get_gateway
from pyflink.table import TableEnvironment
from pyflink.util.exceptions import JavaException

from exercise_05_streaming import topics
from exercise_05_streaming.flink_streaming_features import (
    FEATURE_JOB,
    compute_features,
    create_environment,
    define_sink,
    run_features,
)
from exercise_05_streaming.production import checkpoints
from exercise_05_streaming.production.lag import JobLags, LagExceeded, LagLimit, state_ttl
from exercise_05_streaming.production.preflight import has_times_of_producers, report_other_options
from exercise_05_streaming.production.redis_sink import time_ms
from exercise_05_streaming.production.refusals import RefusalReport
from exercise_05_streaming.production.running_job import ENDED, NEXT_STEP, RunningJob
from exercise_05_streaming.production.writer import ResilientWriter
from exercise_05_streaming.progress import LOGS, Progress, clock_ms, first_cause, group_of
from exercise_05_streaming.windows import LOOK_BACK_MS, TILE_S
from exercise_05_streaming.writer import FeastSink, Superseded, TileStore, Writer
from lab.errors import UserError, run_script
from lab.settings import settings
from lab.stack.flink import connector_jars, function_jar
from lab.stack.flink.cluster import ask as query_flink
from lab.stack.lock import locked
from lab.stack.preflight import require_java

PARTS = ("job", "writer")
FOLDER = Path(__file__).parent
JOB_NAME = "user streaming features"
SINKS = {"user_tiles": "tiles", "dead_letters": "refused"}


def open_flink(folder: Path, resume: Path | None = None, **more: str) -> TableEnvironment:
    """Return the solution's environment with production options; a job resumes at `resume`."""
    options = FEATURE_JOB | job_options() | checkpoint_options(folder)
    if resume:
        # Flink deletes what it has claimed once a newer checkpoint replaces it.
        options |= {"execution.state-recovery.path": f"file://{resume}"}
        options |= {"execution.state-recovery.claim-mode": "CLAIM"}
    start_jvm()
    return create_environment(options | more)


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
        # Tiles and dead letters share one view.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
        "table.exec.mini-batch.allow-latency": milliseconds(settings.flink_emit_delay),
        "table.exec.mini-batch.size": "50000",
        # By a producer's time a record may be as old as a mirror was down: the solution keeps its
        # tile for the day in which a window has it.
        **({} if has_times_of_producers() else {"table.exec.state.ttl": milliseconds(state_ttl())}),
        # A job that fails again and again ends and reports why.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": str(
            settings.flink_restarts
        ),
    }


def checkpoint_options(folder: Path) -> dict[str, str]:
    """Return the options of checkpoints in `folder`, which stay after the job."""
    return {
        "execution.checkpointing.dir": f"file://{folder}",
        "execution.checkpointing.interval": milliseconds(settings.checkpoint_interval),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.incremental": "true",
        "state.backend.type": settings.state_backend,
    }


def cluster_options() -> dict[str, str]:
    """Return the options of a remote cluster. Raises UserError when it runs the job already."""
    address = settings.flink_rest_url
    found = query_flink(settings, "/jobs/overview")
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
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # inherited
    try:
        get_gateway()
    finally:
        signal.signal(signal.SIGTERM, handler)


def define_job(t_env: TableEnvironment, generation: int) -> None:
    """Create the views and sinks; the solution's tiles over production's accepted events."""
    for statement in (
        *statements("accepted.sql", generation),
        *statements("dead_letters.sql"),
    ):
        t_env.execute_sql(statement)
    compute_features(t_env, generation)
    define_sink(t_env)


def start_job(t_env: TableEnvironment, sinks: Mapping[str, str] = SINKS) -> RunningJob:
    """Start one job that writes each view to its sink. Raises UserError."""
    flows = t_env.create_statement_set()
    for table, view in sinks.items():
        flows.add_insert_sql(f"INSERT INTO {table} SELECT * FROM {view}")
    try:
        return RunningJob(flows.execute())
    except JavaException as error:
        raise UserError(f"the job cannot start: {first_cause(str(error))}", NEXT_STEP) from error


def statements(file: str, generation: int = 0) -> list[str]:
    """Return the statements of an SQL file, with the settings filled in."""
    lines = (FOLDER / file).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    filled = Template(text).substitute(
        topic=topics.TRANSACTIONS,
        dead_letter_topic=settings.dead_letter_topic,
        bootstrap=settings.kafka_address,
        start_ms=generation - LOOK_BACK_MS,
        group=group_of(generation),
        allowed_lateness_ms=settings.allowed_lateness // timedelta(milliseconds=1),
        allowed_ahead_ms=settings.allowed_ahead // timedelta(milliseconds=1),
    )
    return [part.strip() for part in filled.split(";") if part.strip()]


def definition() -> str:
    """Return what a checkpoint depends on: statements, options of the plan, backend, tile.

    Flink finds the state of an operator by a hash of its place in the plan.
    """
    texts = [*statements("accepted.sql"), (FOLDER / "ReadTransaction.java").read_text()]
    texts += [inspect.getsource(function) for function in (compute_features, define_sink)]
    options = FEATURE_JOB | job_options()
    texts += [f"{name}: {value}" for name, value in options.items() if name.startswith("table.")]
    return sha256("\n".join([*texts, settings.state_backend, str(TILE_S)]).encode()).hexdigest()


def milliseconds(duration: timedelta) -> str:
    """Return a duration as Flink's options have it."""
    return f"{duration // timedelta(milliseconds=1)} ms"


@topics.available_services()
def prepare_services() -> int:
    """Require Java, Kafka and Redis, create the topics, and return the time of Redis in ms."""
    require_java(needed_by="flink")
    wanted = topics.TOPICS | {settings.dead_letter_topic: {"cleanup.policy": "compact"}}
    topics.create_topics(wanted)
    report_other_options(wanted)
    return time_ms(redis.Redis(settings.host, settings.redis_port))


def run(job: RunningJob, writer: Writer, limit: LagLimit, folder: Path) -> None:
    """Write features until a signal; then stop the job with a savepoint."""
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())

    refusals = RefusalReport()

    def is_running() -> bool:
        if job.is_time_to_check():
            limit.check()
            job.require_running()
        refusals.print_every_minute()
        return not stopped.is_set()

    try:
        writer.run(topics.TopicReader(topics.TILES), is_running)
    except BaseException as error:
        job.cancel()
        if isinstance(error, LagExceeded | Superseded):
            checkpoints.forget_checkpoints(folder)
        raise
    try:
        print(f"Stopped; the savepoint is {job.stop(folder / 'savepoints')}")
    except UserError as error:
        job.cancel()
        print(f"Stopped without a savepoint, which loses nothing: {error.problem}")


def new_writer(parts: str, generation: int) -> Writer:
    """Return the writer of the part `writer`, or the solution's."""
    if "writer" in parts:
        return ResilientWriter(generation)
    return Writer(generation, TileStore(), FeastSink().write, Progress(generation, clock_ms))


def main(
    parts: Annotated[str, typer.Option(help="job, writer, or both")] = ",".join(PARTS),
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore checkpoints")] = False,
    cluster: Annotated[bool, typer.Option("--cluster", help="Submit to a Flink cluster")] = False,
) -> None:
    """Keep the streaming features in Redis until Ctrl-C."""
    now_ms = prepare_services()
    if "job" not in parts:
        run_features(new_writer(parts, now_ms))
        return
    folder = checkpoints.checkpoint_folder(checkpoints.id_of_log())
    options = cluster_options() if cluster else {}
    with locked(folder, timeout_s=settings.socket_timeout_s):
        start = checkpoints.resume_point(folder, definition())
        start = None if fresh else start
        generation = checkpoints.generation_of(folder, now_ms, is_new=start is None)
        limit = LagLimit(JobLags(generation), checkpoints.age_s(start) if start else 0)
        writer = new_writer(parts, generation)
        print(f"Starting from {start or 'the beginning of the log'}", flush=True)
        t_env = open_flink(folder, start, **options)
        define_job(t_env, generation)
        job = start_job(t_env)
        print(f"Job {job.id} is running; Ctrl-C stops it with a savepoint", flush=True)
        run(job, writer, limit, folder)


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
