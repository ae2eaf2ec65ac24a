"""Starts the serving API: `python -m exercise_04_serving.production.serve`.

Several workers listen on one socket. One that dies is replaced, and its counts stay in the metrics.
"""

import os
import shutil
import sys

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from lab.errors import UserError, run_script
from lab.feature_store import REGISTRY
from lab.settings import settings

APP = "exercise_04_serving.production.app.main:app"
# The second is Feast's name for it: each worker would make a folder of its own.
METRICS = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


class Workers(Multiprocess):
    """uvicorn's supervisor, which also takes a dead worker out of the gauges."""

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        from prometheus_client.multiprocess import mark_process_dead

        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)


def server_config() -> uvicorn.Config:
    """uvicorn as the settings want it."""
    return uvicorn.Config(
        APP,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_workers,
        loop="uvloop",
        http="httptools",
        log_config=None,  # the service logs its requests itself
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )


def require_what_it_serves() -> None:
    """Say in one sentence what is missing, before workers fail one by one."""
    from exercise_04_serving.production.model_file import ModelFile

    if not (settings.data_dir / REGISTRY).exists():
        raise UserError(f"no registry in {settings.data_dir}: nothing is applied", "lab run 1")
    ModelFile.read(settings.model_dir)


def empty_metrics_folder() -> None:
    """Counts begin at zero; it has to be known before prometheus_client is imported."""
    folder = settings.build_dir / "serving" / f"metrics-{settings.api_port}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ.update(dict.fromkeys(METRICS, str(folder)))


def main() -> None:
    require_what_it_serves()
    empty_metrics_folder()
    config = server_config()
    if settings.api_workers == 1:
        server = uvicorn.Server(config)
        server.run()
        sys.exit(0 if server.started else STARTUP_FAILURE)
    workers = Workers(config, sockets=[config.bind_socket()])
    workers.run()
    if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    run_script(main)
