"""Install packages that submissions may import beyond those of the lock."""

import shutil
import subprocess
import sys
from pathlib import Path

from checker.verdict.provenance import REQUIRED
from lab.errors import UserError
from lab.settings import ROOT


def install(requirements: Path, into: Path) -> Path:
    """Install a requirements file into the folder `into`, for submissions to import from.

    What the lock names too comes in the lock's version. Raises UserError when that cannot be.
    """
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("uv"), "pip", "install", "--quiet"),
        *("--python", sys.executable, "--target", into.resolve()),
        *("--constraints", ROOT / "requirements.txt"),
        *("--requirements", requirements),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        text = " ".join(done.stderr.split()[-40:])
        raise UserError(f"{requirements} cannot be installed: {text}", "mend the file, and repeat")
    shutil.copy(requirements, into / REQUIRED)
    return into.resolve()
