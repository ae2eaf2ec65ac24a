"""The steps of `lab run 4` after the training: start a service, send requests, load it, stop it."""

import os
import socket
import subprocess
import sys

import psutil
import pytest

from lab.settings import settings
from lab.stack.ports import free_port
from tests.settings_in_force import variables
from tests.shop import Shop

SECONDS = 300  # two workers of production import slowly on a busy machine
MODULES = ("exercise_04_serving.demo", "exercise_04_serving.production")


def run_demo(port: int, module: str = MODULES[0]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module],
        env=os.environ | variables(api_port=port, api_workers=2),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def listening() -> set[int]:
    return {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("module", MODULES)
def test_the_service_predicts_under_load_and_is_gone_afterwards(shop: Shop, module: str) -> None:
    port = free_port()
    done = run_demo(port, module)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'user_id': 'nobody'" in done.stdout
    assert "streaming features are unknown" in done.stdout
    assert "a batch of 100 took" in done.stdout
    assert "{'status 200': 1000}" in done.stdout
    assert port not in listening()


def test_a_port_that_is_taken_is_named(shop: Shop) -> None:
    with socket.create_server((settings.host, 0)) as other:
        done = run_demo(other.getsockname()[1])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "LAB_API_PORT" in done.stderr
