"""Kafka's jars, fetched once by Maven and kept."""

import shutil
import tempfile
from pathlib import Path

from lab.settings import Settings
from lab.stack.command import run
from lab.stack.lock import locked
from lab.stack.preflight import require_program

POM = Path(__file__).with_name("pom.xml")


def fetch(config: Settings) -> Path:
    """The folder of the jars that pom.xml names. Needs Maven if they are not there yet."""
    jars = config.kafka_jars_dir.resolve()
    with locked(jars, timeout_s=config.download_timeout_s):
        complete = jars / POM.name
        if not complete.exists() or complete.read_bytes() != POM.read_bytes():
            _copy_jars(jars, config.download_timeout_s)
            shutil.copyfile(POM, complete)  # last: it says that all the jars are there
    return jars


def _copy_jars(jars: Path, timeout_s: float) -> None:
    maven = require_program("mvn", needed_by="kafka")
    (jars / POM.name).unlink(missing_ok=True)
    for old in jars.glob("*.jar"):
        old.unlink()
    with tempfile.TemporaryDirectory() as project:
        shutil.copyfile(POM, Path(project) / POM.name)
        run(
            [maven, "-B", "-q", "-Dstyle.color=never", "-f", f"{project}/{POM.name}",
             "dependency:copy-dependencies", f"-DoutputDirectory={jars}"],
            what="fetching Kafka's jars by Maven",
            log=jars / "maven.log",
            timeout_s=timeout_s,
        )  # fmt: skip
