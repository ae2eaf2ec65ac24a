"""Flink as the settings want it: inside this process's JVM, or a cluster that runs elsewhere."""

import logging
import os
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lab.settings import settings
from lab.stack.flink import connector_jars, function_jar

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

JOB_NAME = "user streaming features"
READ_TRANSACTION = Path(__file__).parent.parent / "sql" / "ReadTransaction.java"


def open_flink(
    checkpoints: Path | None = None, resume: Path | None = None, *, on_cluster: bool = False
) -> "TableEnvironment":
    """A session for SQL; with `checkpoints` its jobs keep their state there, and begin at `resume`.

    Raises UserError when the connector's jar is missing and cannot be fetched.
    """
    options = {
        **_job_options(),
        **(_checkpoint_options(checkpoints) if checkpoints else {}),
        **(_resume_options(resume, checkpoints) if resume else {}),
        **(_cluster_options() if on_cluster else {}),
    }
    _start_jvm()
    from pyflink.common import Configuration
    from pyflink.table import EnvironmentSettings, TableEnvironment

    configuration = Configuration()
    for name, value in options.items():
        configuration.set_string(name, value)
    mode = EnvironmentSettings.new_instance().in_streaming_mode()
    return TableEnvironment.create(mode.with_configuration(configuration).build())


def logs() -> Path:
    """The folder of Flink's own log."""
    return (settings.build_dir / "flink" / "log").resolve()


def _start_jvm() -> None:
    """A JVM that ends with this process, and not before: a SIGTERM to both leaves it alone."""
    logs().mkdir(parents=True, exist_ok=True)
    os.environ["FLINK_LOG_DIR"] = str(logs())
    os.environ["JVM_ARGS"] = f"-Xmx{settings.flink_heap}"
    logging.getLogger().addHandler(logging.NullHandler())  # py4j: what fails is raised, too
    from pyflink.java_gateway import get_gateway

    ours = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # inherited
    try:
        get_gateway()
    finally:
        signal.signal(signal.SIGTERM, ours)


def _job_options() -> Mapping[str, str]:
    jars = [*connector_jars(settings), function_jar(READ_TRANSACTION, settings)]
    return {
        "pipeline.jars": ";".join(jar.as_uri() for jar in jars),
        "pipeline.name": JOB_NAME,
        "pipeline.object-reuse": "true",
        # Kafka's threads log some words after a job has ended, which is no leak.
        "classloader.check-leaked-classloader": "false",
        "parallelism.default": str(settings.flink_parallelism),
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": _ms(settings.state_ttl),
        # Both flows are made of one judgement.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
        # Changes of a tile are gathered, so a busy one is not written for each of its events.
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": _ms(settings.flink_emit_delay),
        "table.exec.mini-batch.size": "50000",
        # Bounded: a job that fails again and again ends, and says why.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": str(
            settings.flink_restarts
        ),
    }


def _checkpoint_options(folder: Path) -> Mapping[str, str]:
    return {
        "execution.checkpointing.dir": f"file://{folder}",
        "execution.checkpointing.savepoint-dir": f"file://{folder}/savepoints",
        "execution.checkpointing.interval": _ms(settings.checkpoint_interval),
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.incremental": "true",
        "state.backend.type": settings.state_backend,
    }


def _resume_options(point: Path, checkpoints: Path | None) -> Mapping[str, str]:
    """What Flink has claimed it deletes, once a newer checkpoint stands for it."""
    is_own = checkpoints is not None and point.is_relative_to(checkpoints)
    return {
        "execution.state-recovery.path": f"file://{point}",
        "execution.state-recovery.claim-mode": "CLAIM" if is_own else "NO_CLAIM",
    }


def _cluster_options() -> Mapping[str, str]:
    return {
        "execution.target": "remote",
        "execution.attached": "true",
        "rest.address": settings.host,
        "rest.port": str(settings.flink_rest_port),
    }


def _ms(duration: timedelta) -> str:
    return f"{duration // timedelta(milliseconds=1)} ms"
