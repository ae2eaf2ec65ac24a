"""The TableEnvironment of production: the solution's, with options that are settings or gains."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from pyflink.java_gateway import get_gateway
from pyflink.table import TableEnvironment

from exercise_05_streaming.flink_streaming_features import FEATURE_JOB, create_environment
from exercise_05_streaming.production.lag import state_ttl
from exercise_05_streaming.production.preflight import has_times_of_producers
from exercise_05_streaming.production.running_job import ENDED
from exercise_05_streaming.progress import LOGS
from lab.errors import UserError
from lab.settings import settings
from lab.stack.flink import connector_jars, function_jar
from lab.stack.flink.cluster import query_flink

JOB_NAME = "user streaming features"
FUNCTION = Path(__file__).parent / "ReadTransaction.java"


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
    jars = [*connector_jars(settings), function_jar(FUNCTION, settings)]
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


def milliseconds(duration: timedelta) -> str:
    """Return a duration as Flink's options have it."""
    return f"{duration // timedelta(milliseconds=1)} ms"
