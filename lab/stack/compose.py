"""A service as a container of docker-compose.yml, where a Docker engine answers."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from lab.settings import Settings, settings
from lab.stack.command import run
from lab.stack.preflight import require_disk_space
from lab.stack.server import Server

PROJECT = "feature-store-lab"
CLIENTS = (("docker", "compose"), ("docker-compose",))


@cache
def client() -> tuple[str, ...]:
    """Return the Compose command of this machine, version 2 before version 1; empty without one."""
    return next((found for found in CLIENTS if _succeeds(*found, "version")), ())


@cache
def engine_answers() -> bool:
    """Return True if this machine can run containers; checked once per command, bounded."""
    return bool(client()) and _succeeds("docker", "info")


def is_chosen(config: Settings) -> bool:
    """Return True if services are to run as containers."""
    return config.stack_engine == "auto" and engine_answers()


class Container:
    """A service's container form, of the same name, port and health check."""

    how: Final = "compose"

    def __init__(self, service: Server) -> None:
        self.service = service
        self.marker = service.directory / f"{service.name}.compose"  # the port, if started here

    def as_started(self) -> Server:
        """Return the service at the port that it was started with; only if it was started here."""
        started_here = self.marker.exists()
        return self.service.at(int(self.marker.read_text())) if started_here else self.service

    def is_running(self) -> bool:
        """Return True if the project's container of this service runs, wherever it was started."""
        if not is_chosen(self.service.config):
            return False
        listed = subprocess.run(
            self._command("ps", "--services", "--filter", "status=running"),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=self.service.config.stack_timeout_s,
        )
        return self.service.name in listed.stdout.split()

    def start(self) -> None:
        """Start it and wait until it answers. Raises UserError, and then nothing is left."""
        service = self.service
        field, port = next(iter(service.ports.items()))
        service.require_free_ports({field: port})
        service.directory.mkdir(parents=True, exist_ok=True)
        require_disk_space(service.config)
        self.marker.write_text(str(port))
        try:
            self._run("up", "--detach")
            if not service.answers_in_time(self.is_running):
                self._run("logs", "--no-color", "--tail=50", log=service.log)
                raise service.no_answer(is_alive=self.is_running())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove the container if it was started from here; its volume stays."""
        if self.marker.exists() and is_chosen(self.service.config):
            self._run("rm", "--stop", "--force")
        self.marker.unlink(missing_ok=True)

    def _run(self, *arguments: str, log: Path | None = None) -> None:
        run(
            self._command(*arguments, self.service.name),
            what=f"`docker compose {arguments[0]} {self.service.name}`",
            log=log or self.service.directory / "compose.log",
            timeout_s=self.service.config.download_timeout_s,
            env=self._environment(),
        )

    def _command(self, *arguments: str) -> list[str]:
        file = self.service.config.root / "docker-compose.yml"
        return [*client(), "--project-name", PROJECT, "--file", str(file), *arguments]

    def _environment(self) -> dict[str, str]:
        config = self.service.config
        return {
            **os.environ,
            "LAB_REDIS_PORT": str(config.redis_port),
            "LAB_REDIS_MAXMEMORY": config.redis_maxmemory,
            "LAB_KAFKA_PORT": str(config.kafka_port),
            "LAB_KAFKA_HEAP": config.kafka_heap,
        }


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=settings.docker_timeout_s)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
