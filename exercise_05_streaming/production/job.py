"""The solution's job with production parts: accepted events, dead letters, savepoints, a cluster.

python -m exercise_05_streaming.production.job                  # resumes where it ended
python -m exercise_05_streaming.production.job --fresh          # reads the log from its beginning
python -m exercise_05_streaming.production.job --cluster        # on a Flink cluster
python -m exercise_05_streaming.production.job --parts writer   # the solution's job, this writer
"""

import inspect
import signal
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from string import Template
from threading import Event
from typing import Annotated

import typer
from pyflink.table import TableEnvironment
from pyflink.util.exceptions import JavaException

from exercise_05_streaming import topics
from exercise_05_streaming.flink_streaming_features import (
    FEATURE_JOB,
    compute_features,
    define_sink,
    run_features,
)
from exercise_05_streaming.production import checkpoints
from exercise_05_streaming.production.environment import (
    FUNCTION,
    cluster_options,
    job_options,
    open_flink,
)
from exercise_05_streaming.production.lag import JobLags, LagExceeded, LagLimit
from exercise_05_streaming.production.preflight import has_times_of_producers, prepare_services
from exercise_05_streaming.production.refusals import RefusalReport
from exercise_05_streaming.production.running_job import NEXT_STEP, RunningJob
from exercise_05_streaming.production.writer import ResilientWriter
from exercise_05_streaming.progress import Progress, clock_ms, first_cause, group_of
from exercise_05_streaming.windows import LOOK_BACK_MS, TILE_S
from exercise_05_streaming.writer import FeastSink, Superseded, TileStore, Writer
from lab.errors import UserError, run_script
from lab.settings import settings
from lab.stack.lock import locked

PARTS = ("job", "writer")
FOLDER = Path(__file__).parent
SINKS = {"user_tiles": "tiles", "dead_letters": "refused"}


def define_job(t_env: TableEnvironment, generation: int) -> None:
    """Create the views and sinks; the solution's tiles over production's accepted events."""
    starts = topics.offsets_at(generation - LOOK_BACK_MS).items()
    offsets = ";".join(f"partition:{number},offset:{offset}" for number, offset in starts)
    source = statements("accepted.sql", group=group_of(generation), offsets=offsets)
    for statement in (*source, *statements("dead_letters.sql")):
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


def statements(file: str, **start: str) -> list[str]:
    """Return the statements of an SQL file, with the settings and a start of the job filled in."""
    lines = (FOLDER / file).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    clocks = "'LogAppendTime', 'CreateTime'" if has_times_of_producers() else "'LogAppendTime'"
    values = dict(
        start,
        topic=topics.TRANSACTIONS,
        dead_letter_topic=settings.dead_letter_topic,
        bootstrap=settings.kafka_address,
        clocks=clocks,
        allowed_lateness_ms=settings.allowed_lateness // timedelta(milliseconds=1),
        allowed_ahead_ms=settings.allowed_ahead // timedelta(milliseconds=1),
    )
    parts = [part.strip() for part in text.split(";")]
    return [Template(part).safe_substitute(values) for part in parts if part]


def definition() -> str:
    """Return what a checkpoint depends on: statements, options of the plan, backend, tile.

    Flink finds the state of an operator by a hash of its place in the plan.
    """
    texts = [*statements("accepted.sql"), FUNCTION.read_text()]
    texts += [inspect.getsource(function) for function in (compute_features, define_sink)]
    options = FEATURE_JOB | job_options()
    texts += [f"{name}: {value}" for name, value in options.items() if name.startswith("table.")]
    return sha256("\n".join([*texts, settings.state_backend, str(TILE_S)]).encode()).hexdigest()


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
    folder = checkpoints.checkpoint_folder(topics.topic_ids(topics.new_admin()))
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
