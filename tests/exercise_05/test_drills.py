"""A fault-injection test as it is run by hand."""

import subprocess
import sys

import pytest

from tests.exercise_05.pipeline import NewPipeline

pytestmark = [pytest.mark.kafka, pytest.mark.drills]

LIMIT_S = 200


@pytest.mark.parametrize("name", ["redis"])  # `make drills` runs all
def test_what_is_killed_leaves_nothing_wrong(name: str, new_pipeline: NewPipeline) -> None:
    command = [sys.executable, "-m", "exercise_05_streaming.production.drills", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert f"{name}: killed, and exact" in done.stdout
