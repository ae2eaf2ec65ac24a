"""Submissions as common programs save them: read as intended, or file and line are named."""

import json
import zipfile
from pathlib import Path

import pytest

from checker.settings import CheckerSettings
from checker.submission.intake import Intake, take_in

SCRIPT = "exercise_02_pit_training/generate_training_data.py"
CODE = "def get_training_data():\n    return None\n"
MARK = b"\xef\xbb\xbf"


def taken(folder: Path, files: dict[str, bytes]) -> Intake:
    """Take in a submission of these files."""
    for name, content in files.items():
        file = folder / "ann" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return take_in(folder / "ann", folder / "copies", CheckerSettings())


def zipped(folder: Path, name: str, content: bytes) -> Path:
    """Write an archive with one entry of exactly this name."""
    info = zipfile.ZipInfo("x" * len(name))
    info.filename = name
    archive = folder / "ann.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(info, content)
    return archive


def cells(*sources: str) -> bytes:
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": source} for source in sources]}
    ).encode()


def test_a_byte_order_mark_is_removed(tmp_path: Path) -> None:
    """Notepad writes one: python.org runs such a script, tomllib and json refuse the file."""
    notebook = SCRIPT.replace(".py", ".ipynb")
    names = b"[streaming]\nallowed_lateness_s = 60\n"
    files = {SCRIPT: CODE.encode(), notebook: cells(CODE), "submission.toml": names}
    intake = taken(tmp_path, {name: MARK + content for name, content in files.items()})
    assert intake.notebooks == [notebook]
    assert (intake.folder / SCRIPT).read_text() == CODE
    assert (intake.folder / "submission.toml").read_bytes() == names


def test_an_archive_with_backslashes_is_unpacked(tmp_path: Path) -> None:
    """Compress-Archive of PowerShell before .NET 4.6.1."""
    archive = zipped(tmp_path, SCRIPT.replace("/", "\\"), CODE.encode())
    intake = take_in(archive, tmp_path / "copies", CheckerSettings())
    assert (intake.folder / SCRIPT).read_text() == CODE


def test_a_colon_in_a_name_is_no_drive(tmp_path: Path) -> None:
    name = "exercise_02_pit_training/plot 10:30.png"
    intake = take_in(zipped(tmp_path, name, b"PNG"), tmp_path / "copies", CheckerSettings())
    assert (intake.folder / name).is_file()


@pytest.mark.parametrize(
    "cell",
    [
        *("files = !ls data\nfiles", "took = %timeit -o 1 + 1", "!pip install \\\n    feast"),
        *("import os\nos.path?\nos??", "?len", "for x in range(3):\n    !echo {x}"),
        "%pip install \\\n    feast \\\n    redis\nx = 1",
    ],
)
def test_what_only_a_notebook_understands_costs_no_other_line(cell: str, tmp_path: Path) -> None:
    notebook = SCRIPT.replace(".py", ".ipynb")
    intake = taken(tmp_path, {notebook: cells(cell, CODE)})
    assert intake.unread == []
    names: dict[str, object] = {}
    exec(compile((intake.folder / SCRIPT).read_text(), SCRIPT, "exec"), names)
    assert "get_training_data" in names


def test_a_cell_that_is_no_python_is_named_with_its_line(tmp_path: Path) -> None:
    notebook = SCRIPT.replace(".py", ".ipynb")
    intake = taken(tmp_path, {notebook: cells("x = 1\nfor x in range(3)\n    print(x)", CODE)})
    (problem,) = intake.unread
    assert "code cell 1, line 2 is not Python" in problem
    assert problem.endswith("for x in range(3)")
    assert (intake.folder / SCRIPT).read_text().strip() == CODE.strip()
