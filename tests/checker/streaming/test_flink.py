"""Processes that are a Flink, and what passes for one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from checker.streaming.flink import FlinkProcesses
from lab.stack.preflight import require_java
from tests.waiting import eventually

WAITS = "class Flink { public static void main(String[] a) throws Exception { System.in.read(); } }"


@contextmanager
def running(*command: str | Path) -> Iterator[psutil.Process]:
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def flink_of(process: psutil.Process, written: Path) -> FlinkProcesses:
    child: Any = SimpleNamespace(processes=lambda: [process])
    return FlinkProcesses(child, written)


@pytest.mark.parametrize("is_link", [False, True], ids=["copy", "link"])
def test_a_program_that_is_called_java_is_no_flink(tmp_path: Path, is_link: bool) -> None:
    program = tmp_path / "flink" / "java"
    program.parent.mkdir()
    sleep = Path(str(shutil.which("sleep"))).resolve()
    os.symlink(sleep, program) if is_link else shutil.copy(sleep, program)
    with running(program, "60") as process:
        assert flink_of(process, tmp_path).jvms() == []


def test_a_jvm_stands_still_while_it_is_suspended(tmp_path: Path) -> None:
    source = tmp_path / "Flink.java"
    source.write_text(WAITS)
    with running(require_java(needed_by="flink"), "-Dof=flink", source) as process:
        flink = flink_of(process, tmp_path)
        eventually(lambda: flink.jvms() == [process])
        with flink.suspended():
            assert process.status() == psutil.STATUS_STOPPED
        with flink.suspended():  # a second time: it was resumed
            assert process.status() == psutil.STATUS_STOPPED
        assert flink.jobs() == []
        assert flink.newest_offset("transactions") == -1
