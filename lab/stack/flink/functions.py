"""Functions for Flink's SQL in Java, compiled for the job that uses them."""

import shutil
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.files import replacing
from lab.settings import Settings
from lab.stack.command import run
from lab.stack.flink.connector import flink_home
from lab.stack.lock import locked
from lab.stack.preflight import JAVA, require_program


def function_jar(source: Path, config: Settings) -> Path:
    """Return the jar of one class, compiled once for each source text. Raises UserError."""
    folder = (config.build_dir / "flink" / "functions").resolve()
    jar = folder / f"{source.stem}-{sha256(source.read_bytes()).hexdigest()[:16]}.jar"
    with locked(folder, timeout_s=config.stack_timeout_s):
        if not jar.exists():
            _compile(source, jar, config.stack_timeout_s)
    return jar


def _compile(source: Path, jar: Path, timeout_s: float) -> None:
    javac = require_program("javac", needed_by="flink")
    libraries = str(flink_home() / "lib" / "*")
    with TemporaryDirectory() as name:
        classes = Path(name) / "classes"
        run(
            [javac, "--release", str(JAVA), "-cp", libraries, "-d", str(classes), str(source)],
            what=f"compiling {source.name}",
            log=jar.with_suffix(".log"),
            timeout_s=timeout_s,
        )
        archive = shutil.make_archive(f"{name}/packed", "zip", classes)
        with replacing(jar) as temp_path:
            shutil.move(archive, temp_path)
