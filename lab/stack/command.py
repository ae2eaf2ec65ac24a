"""Run programs that do one thing and end."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import UserError
from lab.stack.service import end_of


def run(
    command: Sequence[str],
    *,
    what: str,
    log: Path,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end, its output in a log. Raises UserError if it fails or is late."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=timeout_s,
                check=True,
                env=env,
            )
            return
        except subprocess.CalledProcessError as error:
            fate = f"failed (exit status {error.returncode})"
        except subprocess.TimeoutExpired:
            fate = f"took more than {timeout_s:g} s"
    raise UserError(f"{what} {fate}; {end_of(log)}", f"less {log}; then repeat the command")
