"""A missing service or program is named in a sentence, within bounded time."""

import subprocess
from pathlib import Path
from shutil import which

import pytest

from lab.stack.ports import free_port
from tests.exercise_05.pipeline import JOB, NewPipeline, Pipeline
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def pipeline(new_pipeline: NewPipeline) -> Pipeline:
    return new_pipeline()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"kafka_port": "{free}"}, "Kafka at 127.0.0.1:{free}"),
        ({"redis_port": "{free}"}, "Redis at 127.0.0.1:{free}"),
        ({"flink_jars_dir": "{folder}", "PATH": "{java_only}"}, "flink needs `mvn`"),
        ({"PATH": "{folder}"}, "flink needs `java`"),
        ({"build_dir": "{folder}", "PATH": "{java_only}"}, "flink needs `javac`"),
    ],
)
def test_what_is_missing_is_named(
    pipeline: Pipeline, tmp_path: Path, changed: dict[str, str], problem: str
) -> None:
    java_only = tmp_path / "bin"
    java_only.mkdir()
    (java_only / "java").symlink_to(which("java") or "")
    values = {"free": free_port(), "folder": tmp_path / "empty", "java_only": java_only}
    changes = {name: value.format(**values) for name, value in changed.items()}
    path = {"PATH": changes.pop("PATH")} if "PATH" in changes else {}
    message = ended(pipeline.env(**changes) | path)
    assert "error: " in message
    assert problem.format(**values) in message
    assert "next: " in message
    assert "Traceback" not in message


def test_a_cluster_that_is_not_there_is_named(pipeline: Pipeline) -> None:
    env = pipeline.env(flink_rest_port=free_port())
    assert "no Flink cluster answers at" in ended(env, "--cluster")


def ended(env: dict[str, str], *options: str) -> str:
    """Return the message of a job that does not start."""
    command = [*JOB, *options]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2, done.stderr
    return done.stderr
