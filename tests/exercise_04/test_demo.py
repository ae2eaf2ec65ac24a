"""What `lab run 4` shows after the training: a service is started, asked, loaded and stopped."""

import os
import socket
import subprocess
import sys

import psutil

from lab.settings import settings
from lab.stack.ports import free_port
from tests.settings_in_force import variables
from tests.shop import Shop

SECONDS = 120


def run_demo(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exercise_04_serving.production.demo"],
        env=os.environ | variables(api_port=port, api_workers=2),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def listening() -> set[int]:
    return {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def test_the_service_is_asked_and_loaded_and_is_gone_afterwards(shop: Shop) -> None:
    port = free_port()
    done = run_demo(port)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nobody pays 99.00 to nowhere" in done.stdout
    assert "10 features unknown" in done.stdout
    assert "100 together" in done.stdout
    assert "1,102 predictions" in done.stdout  # two alone, a batch of 100, and the load
    assert port not in listening()


def test_a_port_that_is_taken_is_named(shop: Shop) -> None:
    with socket.create_server((settings.host, 0)) as other:
        done = run_demo(other.getsockname()[1])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "LAB_API_PORT" in done.stderr
