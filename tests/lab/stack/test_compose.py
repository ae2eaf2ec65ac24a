"""The Compose file as Compose reads it, and the choice between containers and processes.

No engine is needed: the choice is tested with a `docker` that runs redis-server itself.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from lab.settings import Settings, settings
from lab.stack import compose, down, up
from lab.stack.kafka.broker import POM
from tests.lab.stack.conftest import Programs, Status
from tests.settings_in_force import PointSettings

FILE = settings.root / "docker-compose.yml"

# A docker that answers the lab's commands as an engine with this project's containers.
DOCKER = """
echo "$@" >> {folder}/calls
case "$*" in
    info | "compose version") ;;
    *" ps "*) [ ! -e {folder}/pid ] || echo redis ;;
    *" up "*)
        {redis} --bind 127.0.0.1 --port "$LAB_REDIS_PORT" --save "" \\
            --daemonize yes --pidfile {folder}/pid
        while [ ! -e {folder}/pid ]; do :; done ;;
    *" rm "*) read -r pid < {folder}/pid; kill "$pid"; while [ -e {folder}/pid ]; do :; done ;;
    *" logs "*) echo "the container's last words" ;;
esac
"""


@pytest.fixture(scope="module")
def every_service() -> dict[str, Any]:
    """Return the services as Compose itself reads the file, those of all profiles included."""
    compose.client.cache_clear()  # another test may have called it with another PATH
    if not compose.client():
        pytest.skip("no docker compose: scripts/system-packages docker-compose")
    every = {"COMPOSE_PROFILES": "flink,monitoring"}  # Compose 1 shows them in any case
    command = [*compose.client(), "--file", str(FILE), "config"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=os.environ | every
    )
    return dict(yaml.safe_load(done.stdout)["services"])


@pytest.fixture(scope="module")
def services(every_service: dict[str, Any]) -> dict[str, Any]:
    """Return the services that are up without a profile."""
    return {name: each for name, each in every_service.items() if "profiles" not in each}


def test_every_port_is_published_on_the_loopback_interface_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service["ports"]]
    assert len(ports) == len(services)
    for port in ports:
        address = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
        assert address == settings.host


def test_on_the_hosts_network_only_the_loopback_interface_is_listened_on(
    every_service: dict[str, Any], services: dict[str, Any]
) -> None:
    for name in every_service.keys() - services.keys():
        service = every_service[name]
        assert service["network_mode"] == "host"
        listens = yaml.safe_dump([service.get("command"), service.get("environment")])
        assert "127.0.0.1" in listens
        assert "0.0.0.0" not in listens


def test_every_image_is_pinned(every_service: dict[str, Any]) -> None:
    for service in every_service.values():
        assert re.search(r":v?\d+\.\d+\.\d+(-java\d+|-alpine)?$", service["image"])


def test_every_service_is_watched(every_service: dict[str, Any]) -> None:
    unwatched = {name for name, each in every_service.items() if "healthcheck" not in each}
    assert unwatched == {"flink-taskmanager"}, "the JobManager watches its TaskManagers"


def test_data_are_stored_in_named_volumes(services: dict[str, Any]) -> None:
    named = yaml.safe_load(FILE.read_text())["volumes"]
    volumes = [volume for service in services.values() for volume in service["volumes"]]
    sources = [volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
               for volume in volumes]  # fmt: skip
    assert sorted(sources) == sorted(named)


def test_redis_keeps_its_data_and_its_limit(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"])
    assert f"--maxmemory {settings.redis_maxmemory} " in command
    assert "--maxmemory-policy noeviction --appendonly yes --appendfsync everysec" in command


def test_both_forms_of_kafka_are_the_same_version(services: dict[str, Any]) -> None:
    version = services["kafka"]["image"].split(":")[1]
    assert f"<artifactId>kafka_2.13</artifactId>\n      <version>{version}</version>" in (
        POM.read_text()
    )


@pytest.fixture
def engine(
    config: Settings, tmp_path: Path, programs: Programs
) -> Iterator[tuple[Settings, Callable[[], str]]]:
    """Yield settings under which the lab calls the engine, and a function for the calls so far."""
    if which("redis-server") is None:
        pytest.skip("no redis-server: scripts/system-packages redis-server")
    programs(docker=DOCKER.format(folder=tmp_path, redis=which("redis-server")))
    forget_the_engine()
    config = config.model_copy(update={"stack_engine": "auto"})
    yield config, (tmp_path / "calls").read_text
    down(config)
    forget_the_engine()


def forget_the_engine() -> None:
    compose.client.cache_clear()
    compose.engine_answers.cache_clear()


def test_where_an_engine_answers_services_are_containers(
    engine: tuple[Settings, Callable[[], str]], redis_status: Status
) -> None:
    config, calls = engine
    up(["redis"], config)
    up(["redis"], config)
    found = redis_status(config)
    assert (found.state, found.how) == ("up", "compose")
    assert calls().count(" up ") == 1
    down(config)
    assert redis_status(config).state == "down"


def test_a_container_that_was_not_started_here_stays(
    engine: tuple[Settings, Callable[[], str]], redis_status: Status
) -> None:
    config, calls = engine
    up(["redis"], config)
    marker = config.stack_dir / "redis" / "redis.compose"
    port = marker.read_text()
    marker.unlink()
    up(["redis"], config)
    down(config)
    assert " rm " not in calls()
    assert redis_status(config).state == "up"
    marker.write_text(port)


def test_an_engine_that_hangs_is_not_waited_for(
    config: Settings,
    programs: Programs,
    redis_status: Status,
    point_settings: PointSettings,
) -> None:
    programs("redis-server", docker=f"exec {which('sleep')} 600")
    forget_the_engine()
    point_settings(docker_timeout_s=0.2)
    up(["redis"], config.model_copy(update={"stack_engine": "auto"}))
    assert redis_status().how == "process"
    forget_the_engine()
