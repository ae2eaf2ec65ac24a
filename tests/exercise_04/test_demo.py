"""The steps of `lab run 4` after the training: start a service, send requests, load it, stop it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lab.settings import settings
from lab.stack.ports import free_port
from tests.readme import assert_shown
from tests.settings_in_force import variables
from tests.shop import Shop

SECONDS = 300  # two workers of production import slowly on a busy machine
MODULES = ("exercise_04_serving.demo", "exercise_04_serving.production")


def run_demo(port: int, folder: Path, module: str = MODULES[0]) -> subprocess.CompletedProcess[str]:
    """Run it in a folder, with a log of predictions in it."""
    changes = variables(api_port=port, api_workers=2, prediction_log="served.jsonl")
    return subprocess.run(
        [sys.executable, "-m", module],
        cwd=folder,
        env=os.environ | changes,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def listening() -> set[int]:
    return {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("module", MODULES)
def test_the_service_predicts_under_load_and_is_gone_afterwards(
    shop: Shop, module: str, tmp_path: Path
) -> None:
    port = free_port()
    done = run_demo(port, tmp_path, module)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'user_id': 'nobody'" in done.stdout
    assert "streaming features are unknown" in done.stdout
    assert "a batch of 100 took" in done.stdout
    assert_shown(4, done.stdout)
    assert port not in listening()
    logged = [*map(Path.read_text, tmp_path.glob("served*.jsonl"))]
    assert "".join(logged).count("\n") == 2 + 100 + 1_000


def test_a_port_that_is_taken_is_named(shop: Shop, tmp_path: Path) -> None:
    with socket.create_server((settings.host, 0)) as other:
        done = run_demo(other.getsockname()[1], tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "LAB_API_PORT" in done.stderr
