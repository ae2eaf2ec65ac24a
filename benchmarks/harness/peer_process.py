"""A peer in an environment of its own: a process that answers each line with a line of JSON."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.settings import settings


@dataclass(frozen=True)
class Peer:
    """A running process that has loaded its data."""

    process: subprocess.Popen[str]

    def query(self, line: str) -> dict[str, Any]:
        """Send a line and return the answer."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)
        return self.read()

    def read(self) -> dict[str, Any]:
        """Return the next line that is an answer; a library may print lines of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"the peer ended with status {self.process.wait()}")


@contextmanager
def peer_process(python: Path, script: Path, *arguments: str) -> Iterator[Peer]:
    """Start a script, wait for its first answer, and end it afterwards."""
    command = [str(python), "-P", str(script), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        peer = Peer(process)
        peer.read()
        yield peer
    finally:
        process.kill()
        process.communicate()


def environment(package: str, version: str, *wanted: str) -> Path:
    """Return the interpreter of an environment with a package, created the first time.

    `wanted` are other requirements, and options of pip. Raises UserError if it cannot be created.
    """
    place = settings.build_dir / package / version
    python = place / "bin" / "python"
    if (place / ".ready").exists():
        return python
    uv = str(Path(sys.executable).with_name("uv"))
    try:
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
        _run(*install, f"{package}=={version}", *wanted)
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"{package} {version} cannot be installed: {error.stderr.strip()}",
            "make bench, when the package index can be reached",
        ) from error
    (place / ".ready").touch()
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
