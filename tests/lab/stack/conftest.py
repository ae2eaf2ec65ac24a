"""Private ports and folders, so that these tests never meet the services of the machine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest

from lab.settings import Settings, settings
from lab.stack import ServiceStatus, down, status
from lab.stack.ports import free_port

Status = Callable[..., ServiceStatus]
Programs = Callable[..., None]


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Settings]:
    private = {
        "stack_dir": tmp_path / "stack",
        "stack_engine": "process",
        "stack_timeout_s": 30,
        "redis_port": free_port(),
        "kafka_port": free_port(),
        "kafka_controller_port": free_port(),
    }
    config = settings.model_copy(update=private)
    yield config
    down(config)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Leave on the PATH only the programs named, and small shell scripts of these names."""

    def only(*names: str, **scripts: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).symlink_to(which(name) or pytest.fail(f"no {name} here"))
        for name, script in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return only


@pytest.fixture
def redis_status(config: Settings) -> Status:
    """Return the state of Redis that `lab status` shows, under these settings or other ones."""

    def state(config: Settings = config) -> ServiceStatus:
        return next(service for service in status(config) if service.name == "redis")

    return state
