"""Functions of Flink in Java: compiled when needed; an error names the cause."""

from pathlib import Path
from shutil import which
from zipfile import ZipFile

import pytest

from lab.errors import UserError
from lab.settings import settings
from lab.stack.flink import connector_jars, function_jar

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(which("javac") is None, reason="no javac: scripts/system-packages javac"),
]
SOURCE = """
package shop;
public class Twice extends org.apache.flink.table.functions.ScalarFunction {
    public Long eval(Long number) { return 2 * number; }
}
"""


def jar_of(text: str, folder: Path) -> Path:
    source = folder / "Twice.java"
    source.write_text(text)
    return function_jar(source, settings.model_copy(update={"build_dir": folder / "build"}))


def test_it_is_compiled_once_for_each_text(tmp_path: Path) -> None:
    jar = jar_of(SOURCE, tmp_path)
    assert "shop/Twice.class" in ZipFile(jar).namelist()
    written = jar.stat().st_mtime_ns
    changed = jar_of(SOURCE.replace("2 *", "3 *"), tmp_path)
    assert changed != jar
    assert jar_of(SOURCE, tmp_path) == jar
    assert jar.stat().st_mtime_ns == written


def test_javac_reports_what_is_no_java_and_no_jar_remains(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)compiling Twice.java failed .*error"):
        jar_of(SOURCE.replace("return", "retrun"), tmp_path)
    assert not list(tmp_path.rglob("*.jar"))


def test_without_pyflink_the_error_names_the_exercise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.stack.flink.connector.find_spec", lambda _: None)
    with pytest.raises(UserError, match="exercise 5 needs the package apache-flink") as error:
        connector_jars(settings)
    assert "the other exercises run here" in (error.value.next_step or "")
