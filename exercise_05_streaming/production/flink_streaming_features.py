"""Exercise 5: a user's last minutes, hours and session, kept in Redis while events come.

    python flink_streaming_features.py                  # until Ctrl-C; goes on where it ended
    python flink_streaming_features.py --resume none    # reads the log from its beginning
    python flink_streaming_features.py --cluster        # the job runs in a Flink cluster
    python flink_streaming_features.py --rebuild        # beside it: writes all of Redis anew

Flink turns the log of transactions into five-minute tiles of each user, in a topic (sql/). The
writer, a process beside it, merges tiles into features and writes them to Redis.
"""

import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from exercise_05_streaming.production.job.checkpoints import checkpoint_folder, held, resume_point
from exercise_05_streaming.production.job.flink import open_flink
from exercise_05_streaming.production.job.preflight import require_cluster, require_services
from exercise_05_streaming.production.job.running import RunningJob
from exercise_05_streaming.production.job.statements import JOB, Until, statements
from exercise_05_streaming.production.job.writer_process import running_writer
from exercise_05_streaming.production.rebuild import main as rebuild_redis
from lab.errors import UserError, run_script

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

WATCH_S = 0.5

console = Console(highlight=False, soft_wrap=True)


def start_job(
    flink: "TableEnvironment", *, until: Until = "unbounded", **options: str
) -> RunningJob:
    """Hand both flows of the log, tiles and dead letters, to Flink as one job.

    `until` and `options` are those of `job.statements`.
    """
    flows = flink.create_statement_set()
    for statement in statements(*JOB, until=until, **options):
        if statement.startswith("INSERT"):
            flows.add_insert_sql(statement)
        else:
            flink.execute_sql(statement)
    return RunningJob(flows.execute())


def watch(job: RunningJob, stop: Event) -> None:
    """Run the writer beside the job until a signal comes; UserError when the job has failed."""
    with running_writer() as writer:
        while not stop.wait(WATCH_S):
            job.require_running()
            writer.look_after()


def run(folder: Path, resume: Path | None, stop: Event, *, on_cluster: bool) -> None:
    """From the first event to a savepoint."""
    console.print(f"Starting from {resume or 'the beginning of the log'}")
    job = start_job(open_flink(folder, resume, on_cluster=on_cluster))
    console.print(f"Job {job.id} runs; Ctrl-C stops it with a savepoint")
    try:
        watch(job, stop)
    except BaseException:
        job.cancel()
        raise
    end(job, folder / "savepoints")


def end(job: RunningJob, folder: Path) -> None:
    """Stop with a savepoint; where Flink cannot take one, the last checkpoint stands."""
    try:
        console.print(f"Stopped; the savepoint is {job.stop(folder)}")
    except UserError as error:
        job.cancel()
        console.print(f"Stopped without a savepoint, which loses nothing: {error.problem}")


def told_by_signals() -> Event:
    """Set by Ctrl-C and by SIGTERM."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def main(
    resume: Annotated[str, typer.Option(help="latest, none, or a checkpoint's path")] = "latest",
    cluster: Annotated[bool, typer.Option("--cluster", help="Submit to a Flink cluster")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Only write Redis anew from the topic of tiles")
    ] = False,
) -> None:
    """Keep the streaming features in Redis, until Ctrl-C."""
    if rebuild:
        return rebuild_redis()
    folder = checkpoint_folder(require_services())
    if cluster:
        require_cluster()
    with held(folder):
        run(folder, resume_point(folder, resume), told_by_signals(), on_cluster=cluster)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    run_script(app)
