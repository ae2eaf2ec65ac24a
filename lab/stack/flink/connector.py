"""The connector between Flink and Kafka, which PyFlink does not include."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from lab.errors import UserError
from lab.settings import Settings
from lab.stack.maven import fetch_jars

POM = Path(__file__).with_name("pom.xml")
CONNECTOR = "flink-sql-connector-kafka-*.jar"


def connector_jars(config: Settings) -> Sequence[Path]:
    """Return the jars that a job needs; none where Flink's own libraries have the connector.

    Raises UserError when they are absent and cannot be downloaded.
    """
    if any((flink_home() / "lib").glob(CONNECTOR)):
        return []  # twice on the class path, its classes would not be compatible
    jars = fetch_jars(
        POM, config.flink_jars_dir, needed_by="flink", timeout_s=config.download_timeout_s
    )
    return sorted(jars.glob("*.jar"))


def flink_home() -> Path:
    """Return the folder of PyFlink's bin, conf and lib, or the value of FLINK_HOME.

    Raises UserError without PyFlink, which has no package for every machine.
    """
    if find_spec("pyflink") is None:
        raise UserError(
            "exercise 5 needs the package apache-flink, and this machine has none",
            "use an x86-64 machine for exercise 5; the other exercises run here",
        )
    return Path(import_module("pyflink.find_flink_home")._find_flink_home())
