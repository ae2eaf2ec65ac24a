"""Checks before a service starts; each check's error names the next command."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path

from lab.errors import UserError
from lab.settings import Settings, settings

JAVA = 17


def require_program(name: str, needed_by: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name)
    if found is None:
        raise UserError(f"{needed_by} needs `{name}`, which is not on the PATH", install(name))
    return found


def require_java(needed_by: str) -> str:
    """Return the path of a Java that is new enough for Kafka."""
    java = require_program("java", needed_by)
    answer = subprocess.run(
        [java, "-version"], capture_output=True, text=True, timeout=settings.stack_timeout_s
    )
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < JAVA:
        seen = answer.stderr.partition("\n")[0] or "nothing"
        raise UserError(
            f"{needed_by} needs Java {JAVA} or newer; `{java} -version` prints: {seen}",
            install("java"),
        )
    return java


def install(program: str) -> str:
    """Return the command that installs a program here, or prints the one of Homebrew."""
    script = f"{settings.root / 'scripts' / 'system-packages'} {program}"
    needs_sudo = sys.platform != "darwin" and os.geteuid() != 0
    return f"sudo {script}" if needs_sudo else script


def require_disk_space(config: Settings) -> None:
    """Reject the start of a service that would soon fill the disk."""
    free_mb = shutil.disk_usage(config.stack_dir).free // 2**20
    if free_mb < config.stack_min_free_mb:
        raise UserError(
            f"no disk space: {free_mb} MB free at {config.stack_dir},"
            f" the services need {config.stack_min_free_mb} MB",
            f"free some space (`df -h {config.stack_dir}`), or `export LAB_STACK_DIR=…` on another"
            " disk; then repeat the command",
        )


@contextmanager
def explained_write_errors(directory: Path) -> Iterator[None]:
    """Raise a UserError that names the path and the cause of a failed write."""
    try:
        yield
    except OSError as error:
        reason = "no disk space left" if error.errno == ENOSPC else error.strerror
        raise UserError(
            f"cannot write {error.filename or directory}: {reason}",
            f"`df -h {directory}` and `ls -ld {directory}`; then repeat the command",
        ) from error
