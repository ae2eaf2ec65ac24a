"""Starts the serving API with production parts and several workers.

    python -m exercise_04_serving.production.server [part ...]

The workers listen on one socket. One that dies is replaced, and its counts stay in the metrics.
"""

import os
import shutil
import sys
from collections.abc import Collection
from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from lab.errors import UserError, run_script
from lab.settings import settings

PARTS = (
    *("online_reader", "local_cache", "onnx_model", "fast_route"),
    *("middleware", "health", "server", "prediction_log"),
)
# The second is Feast's name for it: each worker would make a folder of its own.
METRICS = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


def require_parts(names: Collection[str]) -> frozenset[str]:
    """Return the named parts, all of them when none is named; UserError for an unknown name."""
    if unknown := [name for name in names if name not in PARTS]:
        raise UserError(f"no production part {unknown[0]}", f"choose from {', '.join(PARTS)}")
    return frozenset(names or PARTS)


class Workers(Multiprocess):
    """uvicorn's supervisor, which also removes a dead worker from the gauges."""

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        from prometheus_client.multiprocess import mark_process_dead

        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)


def create_worker(parts: frozenset[str]) -> FastAPI:
    """Return the application of a worker; its imports take seconds, which the parent is spared."""
    from exercise_04_serving.production.parts import create_app

    return create_app(parts)


def server_config(parts: frozenset[str]) -> uvicorn.Config:
    """Return uvicorn's configuration by the settings."""
    return uvicorn.Config(
        partial(create_worker, parts),
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_workers if "server" in parts else 1,
        loop="uvloop",
        http="httptools",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.drain_timeout_s,
        timeout_worker_healthcheck=60,  # a slow start is no dead worker
    )


def require_files() -> None:
    """Raise UserError for a missing registry or model, before workers fail one by one."""
    for file, command in (
        (settings.data_dir / "registry.db", "lab run 1"),
        (settings.model_dir / "fraud_detector.pkl", "lab run 4"),
    ):
        if not file.exists():
            raise UserError(f"{file} is missing", command)


def empty_metrics_folder() -> None:
    """Start the counts at zero; the folder must be set before prometheus_client is imported."""
    folder = settings.build_dir / "serving" / f"metrics-{settings.api_port}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ.update(dict.fromkeys(METRICS, str(folder)))


def main() -> None:
    parts = require_parts(sys.argv[1:])
    require_files()
    empty_metrics_folder()
    config = server_config(parts)
    if config.workers == 1:
        server = uvicorn.Server(config)
        server.run()
        sys.exit(0 if server.started else STARTUP_FAILURE)
    workers = Workers(config, sockets=[config.bind_socket()])
    workers.run()
    if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    run_script(main)
