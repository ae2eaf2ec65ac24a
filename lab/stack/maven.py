"""Jars, downloaded once by Maven and stored."""

import shutil
import tempfile
from pathlib import Path

from lab.stack.command import run
from lab.stack.lock import locked
from lab.stack.preflight import require_program


def fetch_jars(pom: Path, folder: Path, *, needed_by: str, timeout_s: float) -> Path:
    """Return the folder of the jars that a pom.xml names. Needs Maven if they are not there yet."""
    jars = folder.resolve()
    with locked(jars, timeout_s=timeout_s):
        complete = jars / pom.name
        if not complete.exists() or complete.read_bytes() != pom.read_bytes():
            _copy_jars(pom, jars, needed_by, timeout_s)
            shutil.copyfile(pom, complete)  # last: it marks the download as complete
    return jars


def _copy_jars(pom: Path, jars: Path, needed_by: str, timeout_s: float) -> None:
    maven = require_program("mvn", needed_by=needed_by)
    (jars / pom.name).unlink(missing_ok=True)
    for old in jars.glob("*.jar"):
        old.unlink()
    with tempfile.TemporaryDirectory() as project:
        shutil.copyfile(pom, Path(project) / pom.name)
        run(
            [maven, "-B", "-q", "-Dstyle.color=never", "-f", f"{project}/{pom.name}",
             "dependency:copy-dependencies", f"-DoutputDirectory={jars}"],
            what=f"fetching {needed_by.capitalize()}'s jars by Maven",
            log=jars / "maven.log",
            timeout_s=timeout_s,
        )  # fmt: skip
