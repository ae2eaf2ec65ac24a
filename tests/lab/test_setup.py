"""scripts/setup on a machine that a group of the lock has no package for."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lab.settings import ROOT

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MODULES = [  # of all groups, but for those that Feast needs, too
    *("onnxruntime", "skl2onnx", "orjson", "cachetools", "pyflink", "airflow"),
    *("pytest", "hypothesis", "playwright", "schemathesis", "moto", "mypy", "flask"),
]
PYTHON = """#!/bin/sh
[ "$*" != "-m venv --clear .venv" ] || { mkdir -p .venv/bin; cp python uv .venv/bin; }
"""
UV = """#!/bin/sh
echo "$*" >> calls
case "$*" in {fails}) exit 1 ;; esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what the set-up reads, with a Python that only makes `.venv/bin`."""
    for name in ("scripts/setup", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "exercise_01_setup").mkdir()
    (tmp_path / "python").write_text(PYTHON)
    return tmp_path


def set_up(project: Path, fails: str) -> "subprocess.CompletedProcess[str]":
    """Run the set-up where uv fails for commands of a shell pattern."""
    (project / "uv").write_text(UV.format(fails=fails))
    for program in ("python", "uv"):
        (project / program).chmod(0o755)
    return subprocess.run(
        ["scripts/setup"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(project / "python")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_group_without_a_package_costs_its_exercise_only(project: Path) -> None:
    done = set_up(project, "*requirements.txt|*streaming")
    assert done.returncode == 0
    assert "no package for the group streaming (the reason is above): no exercise 5 here" in (
        done.stdout
    )
    assert done.stdout.count("no package") == 1
    calls = (project / "calls").read_text()
    assert [group for group in GROUPS if f"--extra {group}\n" in calls] == [*GROUPS]


def test_without_the_core_the_set_up_fails_and_starts_again(project: Path) -> None:
    done = set_up(project, "*hashes*")
    assert done.returncode == 1
    assert "next: make setup" in done.stderr
    assert not (project / ".venv" / ".ready").exists()


def test_the_command_line_and_all_criteria_load_with_the_core_only() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({MODULES}))"
    command = f"{blocked}; from checker.cli import app; app(['check', '5.1', '-hh'])"
    subprocess.run([sys.executable, "-c", command], check=True, stdout=subprocess.DEVNULL)
