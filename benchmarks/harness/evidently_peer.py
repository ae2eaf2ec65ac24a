"""Evidently as a peer, in an environment of its own, by the same lock as far as it goes."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.child import peak_gib
from lab.errors import UserError
from lab.settings import settings

VERSION = "0.7.23"
SIDE = Path(__file__).with_name("evidently_side.py")


@dataclass(frozen=True)
class Answer:
    """Time of one report, and its result for each feature."""

    seconds: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Evidently:
    """A running process that has both windows in memory."""

    process: subprocess.Popen[str]

    def report(self, statistic: str) -> Answer:
        """Run a report of one statistic over all features."""
        assert self.process.stdin is not None
        print(statistic, file=self.process.stdin, flush=True)
        return Answer(**self.read())

    def peak_gib(self) -> float:
        """Return the process's peak so far."""
        return peak_gib(self.process.pid)

    def read(self) -> dict[str, Any]:
        """Return the next line that is an answer; Evidently prints lines of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"Evidently ended with status {self.process.wait()}")


@contextmanager
def evidently(folder: Path) -> Iterator[Evidently]:
    """Start Evidently with the windows of `folder`, and end it afterwards."""
    command = [str(environment()), "-P", str(SIDE), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        side = Evidently(process)
        side.read()
        yield side
    finally:
        process.kill()
        process.communicate()


def environment() -> Path:
    """Return the interpreter of the environment, which is created the first time.

    Raises UserError if it cannot be created.
    """
    place = settings.build_dir / "evidently" / VERSION
    python = place / "bin" / "python"
    if (place / ".ready").exists():
        return python
    uv = Path(sys.executable).with_name("uv")
    lock = settings.root / "requirements.txt"
    wanted = ["--constraint", str(lock), f"evidently=={VERSION}"]
    try:
        run(str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        run(str(uv), "pip", "install", "--quiet", "--python", str(python), *wanted)
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"Evidently {VERSION} cannot be installed: {error.stderr.strip()}",
            "make bench ONLY=drift, when the package index can be reached",
        ) from error
    (place / ".ready").touch()
    return python


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
