"""A submission of any form is copied by its exercises, and nothing reaches outside."""

import json
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.settings import CheckerSettings
from checker.submission.intake import Intake, take_in
from checker.submission.notebooks import code_of_notebook
from lab.errors import UserError

SCRIPT = "exercise_02/generate_training_data.py"
NOTEBOOK = "exercise_02/a.ipynb"
Files = Mapping[str, str]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def zipped(file: Path, files: Files, link: str | None = None) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return file


def notebook(*cells: str, kind: str = "code") -> str:
    return json.dumps({"cells": [{"cell_type": kind, "source": [cell]} for cell in cells]})


def files_of(taken: Intake) -> set[str]:
    found = [path for path in taken.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(taken.folder)) for path in found}


Take = Callable[..., Intake]


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Take in a source, or a folder `ann` of these files, with custom limits."""

    def taken(source: Path | Files, overrides: Path | None = None, **limits: Any) -> Intake:
        folder = source if isinstance(source, Path) else write(tmp_path / "ann", source)
        config = CheckerSettings().model_copy(update=limits)
        return take_in(folder, tmp_path / "taken", config, overrides)

    return taken


def test_the_exercises_and_the_names_are_taken_and_nothing_else(take: Take) -> None:
    wanted = {SCRIPT: "x", "exercise_02/helpers/a.py": "", "submission.toml": ""}
    ignored = [".venv/lib/a.py", "README.md", "exercise_02/__pycache__/a.pyc"]
    ignored += ["__MACOSX/._a", "exercise_02/._a.py"]  # of macOS
    taken = take({**wanted, **dict.fromkeys(ignored, "")})
    assert (taken.name, files_of(taken)) == ("ann", set(wanted))
    assert taken.exercises == {2: "exercise_02"}


@pytest.mark.parametrize(
    ("text", "is_left_out"), [("# mine\nproduction/\n", True), ("production", True), ("a\n", False)]
)
def test_a_labignore_names_what_is_left_behind(text: str, is_left_out: bool, take: Take) -> None:
    part = "exercise_02/production/part.py"
    taken = take({SCRIPT: "x", part: "y", ".labignore": text})
    assert (part not in files_of(taken)) is is_left_out


def test_one_folder_around_the_exercises_is_taken_off(take: Take, tmp_path: Path) -> None:
    files = {f"solution-main/{SCRIPT}": "x", "__MACOSX/._x": "", "notes.txt": ""}
    assert files_of(take(files)) == {SCRIPT}
    taken = take(zipped(tmp_path / "eve.zip", files))
    assert (taken.name, files_of(taken)) == ("eve", {SCRIPT})


def test_links_pipes_and_compose_files_are_left_out(take: Take, tmp_path: Path) -> None:
    source = write(tmp_path / "bob", {SCRIPT: "x", "exercise_02/docker-compose.yml": ""})
    (source / "exercise_02" / "secret").symlink_to("/etc/passwd")
    (source / "exercise_02" / "folder").symlink_to("/etc")
    (source / "exercise_03").symlink_to("/etc")
    (source / "submission.toml").symlink_to("/etc/passwd")
    os.mkfifo(source / "exercise_02" / "pipe")
    taken = take(source)
    assert files_of(taken) == {SCRIPT}
    assert len(taken.left_out) == 4
    assert all(name in taken.described() for name in taken.left_out)


def test_a_dry_run_names_the_scripts_that_have_something_in_them(take: Take) -> None:
    many = {f"exercise_03/{number}.py": "x = 1" for number in range(6)}
    taken = take({SCRIPT: "x = 1", **many, "exercise_04/app.py": "def f(): ..."})
    assert taken.described().splitlines() == [
        "ann:",
        "  2 exercise_02: generate_training_data.py",
        "  3 exercise_03: 0.py, 1.py, 2.py, 3.py and 2 more",
        "  4 exercise_04: nothing yet",
    ]


def test_a_link_around_the_exercises_is_not_followed(take: Take, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {SCRIPT: "theirs"})
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "solution").symlink_to(other)
    assert files_of(take(tmp_path / "bob")) == set()


# ---- ZIP files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("../out.py", "/etc/out.py", "exercise_02/../../out.py"),
        *("..\\out.py", "C:/out.py", "c:\\out.py", "\\\\host\\out.py"),
    ],
)
def test_an_entry_that_points_outside_refuses_the_whole(
    name: str, take: Take, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "bad.zip", {SCRIPT: "x", name: "owned"})
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="points outside"):
        take(archive)
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "taken"}


def test_a_link_in_an_archive_is_not_written(take: Take, tmp_path: Path) -> None:
    taken = take(zipped(tmp_path / "a.zip", {SCRIPT: "x"}, link="exercise_02/data"))
    assert files_of(taken) == {SCRIPT}
    assert taken.left_out == ["exercise_02/data"]


@pytest.mark.parametrize(
    ("files", "limits", "problem"),
    [
        ({SCRIPT: "\0" * 3 * 2**20}, {"submission_max_mib": 2}, "3 MiB; at most"),
        (
            {f"exercise_02/{number}.py": "" for number in range(9)},
            {"submission_max_files": 8},
            "9 files",
        ),
        ({f"exercise_02/{'a/' * 1_000}b.py": "x"}, {}, "more than 64 folders"),
        ({"exercise_02": "file", SCRIPT: "x"}, {}, "cannot be unpacked"),
    ],
    ids=["bomb", "many files", "deep", "a file where a folder should be"],
)
def test_an_archive_that_is_too_large_or_contradicts_itself_is_refused(
    files: Files, limits: dict[str, int], problem: str, take: Take, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=problem):
        take(zipped(tmp_path / "a.zip", files), **limits)


def test_a_folder_that_is_too_large_is_refused(take: Take) -> None:
    with pytest.raises(UserError, match="at most"):
        take({SCRIPT: "x" * 3 * 2**20}, submission_max_mib=2)


@pytest.mark.parametrize("name", ["...zip", "..zip"])
def test_an_archive_without_a_name_is_refused(name: str, take: Take, tmp_path: Path) -> None:
    write(tmp_path, {"of_another": "kept"})
    with pytest.raises(UserError, match="gives a submission no name"):
        take(zipped(tmp_path / name, {SCRIPT: "x"}))
    assert (tmp_path / "of_another").read_text() == "kept"


def test_what_cannot_be_copied_is_refused(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.copytree", unreadable)
    with pytest.raises(UserError, match="cannot be taken in: PermissionError"):
        take({SCRIPT: "x"})


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_a_damaged_archive_is_the_users_mistake(content: bytes, take: Take, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match="cannot be unpacked"):
        take(tmp_path / "a.zip")


@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_damage_breaks_the_intake(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("zip")
    archive = zipped(folder / "a.zip", {SCRIPT: "x" * 50})
    content = archive.read_bytes()
    archive.write_bytes(content[:at] + noise + content[at + len(noise) :])
    try:
        taken = take_in(archive, folder / "taken", CheckerSettings())
    except UserError:
        return
    assert all(path.is_relative_to(folder / "taken") for path in taken.folder.rglob("*"))


# ---- Notebooks ---------------------------------------------------------------------------------


def test_a_notebook_becomes_a_script_next_to_it(take: Take) -> None:
    taken = take({NOTEBOOK: notebook("def f():\n    return 1"), SCRIPT: "mine"})
    assert taken.notebooks == [NOTEBOOK]
    assert "return 1" in (taken.folder / "exercise_02" / "a.py").read_text()


@pytest.mark.parametrize(
    ("scripts", "name"),
    [
        ({SCRIPT: "mine"}, SCRIPT.replace(".py", ".ipynb")),
        ({"exercise_02/a.py": "1", "exercise_02/a_notebook.py": "2"}, NOTEBOOK),
    ],
)
def test_a_notebook_replaces_no_script(scripts: Files, name: str, take: Take) -> None:
    taken = take({**scripts, name: notebook("x = 1")})
    assert {script: (taken.folder / script).read_text() for script in scripts} == scripts


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"cells": 1}', '{"cells": [{}]}', "[" * 10**5],
)
def test_what_is_no_notebook_is_left_out(content: str, take: Take) -> None:
    taken = take({SCRIPT: "x", NOTEBOOK: content})
    assert taken.notebooks == []
    assert taken.unread == [f"{NOTEBOOK}, which is no notebook"]


@pytest.mark.parametrize(
    ("cells", "defines"),
    [
        (["!pip install feast\nx = 1"], {"x": 1}),
        (["%matplotlib inline\nx = 1"], {"x": 1}),
        (["if True:\n    !ls\nx = 1"], {"x": 1}),
        (["%%time\nx = 1"], {"x": 1}),
        (["%%bash\nx=1; echo ("], {}),
        (["x = '''\n%d of\n!'''\n"], {"x": "\n%d of\n!"}),
        (["x = ('%d'\n% 3)"], {"x": "3"}),
        (["x = 1", "y = x + 1"], {"x": 1, "y": 2}),
    ],
    ids=["shell", "magic", "in_a_block", "timed", "bash", "text", "modulo", "in_order"],
)
def test_what_only_a_notebook_understands_is_dropped(
    cells: list[str], defines: dict[str, Any]
) -> None:
    names: dict[str, Any] = {}
    exec(code_of_notebook(notebook(*cells))[0], names)
    assert {name: value for name, value in names.items() if name != "__builtins__"} == defines


def test_text_cells_are_no_code() -> None:
    assert code_of_notebook(notebook("# A heading", kind="markdown"))[0].strip() == ""


def test_a_folder_named_as_a_notebook_is_one(take: Take) -> None:
    files = {SCRIPT: "x", f"{NOTEBOOK}/b.py": "y"}
    assert files_of(take(files)) == set(files)


def test_a_notebook_that_is_too_large_is_left_out(take: Take) -> None:
    taken = take({SCRIPT: "x", NOTEBOOK: notebook("x = 1")}, notebook_max_mib=0)
    assert taken.unread == [f"{NOTEBOOK}, which is too large"]


# ---- The instructor's names --------------------------------------------------------------------


def test_an_override_stands_for_the_submissions_own_names(take: Take, tmp_path: Path) -> None:
    source = write(tmp_path / "ann", {SCRIPT: "x", "submission.toml": "# theirs"})
    overrides = write(tmp_path / "overrides", {"ann/submission.toml": "# the instructor's"})
    taken = take(source, overrides)
    assert (taken.folder / "submission.toml").read_text() == "# the instructor's"
    assert (source / "submission.toml").read_text() == "# theirs"


def test_what_is_not_there_is_the_users_mistake(take: Take, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder or ZIP file"):
        take(tmp_path / "nobody")
