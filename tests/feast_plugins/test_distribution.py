"""The plug-ins install by themselves, and both wheels hold what they need."""

import email
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lab.settings import settings

ROOT = settings.root
PLUGINS = ROOT / "feast_plugins"
NOT_PACKED = {"pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"}


def build(folder: Path, copied: list[Path], kinds: list[str]) -> list[Path]:
    """Build the project of `copied` files and folders, without the network."""
    source, out = folder / "source", folder / "out"
    source.mkdir()
    for path in copied:
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "data")
            shutil.copytree(path, source / path.name, ignore=ignored)
        else:
            shutil.copy(path, source)
    uv = str(Path(sys.executable).with_name("uv"))
    options = ["--no-build-isolation", "--offline", "--python", sys.executable, "--out-dir", out]
    command = [uv, "build", *kinds, *map(str, options), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return sorted(out.glob("*-*"))


def metadata(wheel: zipfile.ZipFile) -> "email.message.Message[str, str]":
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def required(wheel: zipfile.ZipFile) -> dict[str, Requirement]:
    found = [Requirement(text) for text in metadata(wheel).get_all("Requires-Dist", [])]
    return {requirement.name: requirement for requirement in found}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the wheel and the source distribution of the plug-ins; the latter makes the wheel."""
    return build(tmp_path_factory.mktemp("plugins"), list(PLUGINS.iterdir()), [])


def test_the_plugins_wheel_holds_the_package_and_its_licence(plugins: list[Path]) -> None:
    with zipfile.ZipFile(next(path for path in plugins if path.suffix == ".whl")) as wheel:
        packed = {Path(name).name for name in wheel.namelist() if name.startswith("feast_plugins/")}
        about, needs = metadata(wheel), required(wheel)
        licences = [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    assert packed == {path.name for path in PLUGINS.iterdir() if path.is_file()} - NOT_PACKED
    assert "py.typed" in packed
    assert licences
    assert about["License-Expression"] == "Apache-2.0"
    assert "## Go back" in about.get_payload()
    assert all(requirement.specifier for requirement in needs.values())
    assert needs["feast"].specifier.contains("0.67.0")
    assert not needs["feast"].specifier.contains("0.69.0")


def test_the_plugins_source_distribution_holds_all_files(plugins: list[Path]) -> None:
    with tarfile.open(next(path for path in plugins if path.suffix == ".gz")) as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert {path.name for path in PLUGINS.iterdir() if path.is_file()} - {"MANIFEST.in"} <= names


def test_every_import_of_the_plugins_is_a_requirement() -> None:
    """The plug-ins then run where nothing else of this repository is installed."""
    source = "\n".join(path.read_text() for path in PLUGINS.glob("*.py"))
    imported = set(re.findall(r"^ *(?:from|import) (\w+)", source, re.M))
    third_party = imported - set(sys.stdlib_module_names) - {"feast_plugins"}
    project = tomllib.loads((PLUGINS / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]["metrics"]
    needs = {Requirement(text).name for text in [*project["dependencies"], *extras]}
    provided = {"google": "protobuf", "hiredis": "redis", "pandas": "feast", "pydantic": "feast"}
    provided |= {"opentelemetry": "opentelemetry-api", "prometheus_client": "prometheus-client"}
    assert {provided.get(name, name) for name in third_party} <= needs


def test_the_versions_of_the_plugins_agree() -> None:
    version = tomllib.loads((PLUGINS / "pyproject.toml").read_text())["project"]["version"]
    (newest, *_) = re.findall(r"^## (\S+)", (PLUGINS / "CHANGELOG.md").read_text(), re.M)
    assert newest == version


def test_the_repositorys_wheel_holds_its_data_and_requirements(tmp_path: Path) -> None:
    folders = [ROOT / "lab", ROOT / "checker", PLUGINS, *sorted(ROOT.glob("exercise_0*"))]
    files = [ROOT / name for name in ("pyproject.toml", "LICENSE", "NOTICE")]
    (built,) = build(tmp_path, [*folders, *files], ["--wheel"])
    with zipfile.ZipFile(built) as wheel:
        packed, needs = set(wheel.namelist()), required(wheel)
    included = {path.relative_to(tmp_path / "source") for path in (tmp_path / "source").rglob("*")}
    wanted = {
        path.as_posix()
        for path in included
        if (tmp_path / "source" / path).is_file()
        and len(path.parts) > 1
        and "build" not in path.parts
        and not path.parts[0].endswith(".egg-info")
        and path.as_posix() not in {f"feast_plugins/{name}" for name in NOT_PACKED}
    }
    assert wanted - packed == set()
    assert needs["feast"].extras == {"redis", "duckdb"}
