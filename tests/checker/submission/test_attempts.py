"""An exercise with code in it is graded as it is, or fails with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from checker.settings import CheckerSettings
from checker.submission.attempts import Attempts
from checker.submission.functions import brief_functions
from checker.submission.intake import Intake, take_in
from checker.submission.scripts import script_that_defines
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.results import Result
from lab.errors import UserError

FOLDER = "exercise_02_pit_training"
SCRIPT = "generate_training_data.py"
RIGHT = "def get_training_data(e): return e\n"
NO_FUNCTION = "no file in exercise_02 defines get_training_data()"
NO_FOLDER = "no exercise_02… folder with a script in it"
Files = dict[str, str | bytes]


def take(tmp_path: Path, files: Files, **limits: Any) -> Intake:
    for name, content in files.items():
        file = tmp_path / "ann" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    config = CheckerSettings().model_copy(update=limits)
    return take_in(tmp_path / "ann", tmp_path / "taken", config)


def result_of(taken: Intake, message: str = NO_FUNCTION, criterion: str = "2.1") -> Result:
    result = Result(BY_ID[criterion], Status.NOT_ATTEMPTED, message=message)
    return Attempts(taken).final(result)


def cell(*code: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": [text]} for text in code]})


@pytest.mark.parametrize(
    "source",
    [
        f"# coding: utf-8\n{RIGHT}".encode("utf-8-sig"),
        f"# -*- coding: latin-1 -*-\n# ä\n{RIGHT}".encode("latin-1"),
        f"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n# €\n{RIGHT}".encode("cp1252"),
        f"if 1:\n    {RIGHT}",
        f"try:\n    import nothing_of_this_name\nexcept ImportError:\n    {RIGHT}",
        f"from contextlib import suppress\nwith suppress(OSError):\n    {RIGHT}",
        "from functools import partial\nget_training_data = partial(max, 0)\n",
        "class A:\n    def f(self, e): return e\nget_training_data = A().f\n",
        "class A:\n    def f(self, e): return e\nget_training_data, other = A().f, 1\n",
    ],
    ids=["mark", "latin", "windows", "if", "try", "with", "partial", "method", "pair"],
)
def test_a_function_is_found_however_its_file_is_written(
    source: str | bytes, tmp_path: Path
) -> None:
    taken = take(tmp_path, {f"{FOLDER}/{SCRIPT}": source})
    file = script_that_defines(taken.folder / FOLDER, SCRIPT, "get_training_data")
    names: dict[str, Any] = {"__name__": "a"}
    exec(compile(file.read_text(), str(file), "exec"), names)
    assert names["get_training_data"](7) == 7


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\ndef f(:\n", f"{FOLDER}/{SCRIPT}, line 2 is not Python (invalid syntax): def f(:"),
        ("<<<<<<< HEAD\n", "line 1 is not Python (invalid syntax): <<<<<<< HEAD"),
        ("def f():\n\tx\n        y\n", "line 3 is not Python (inconsistent use of tabs"),
        ("except_ = 1\nt'{x}'\n", "(syntax was added in Python 3.14); the grader runs Python 3."),
        (RIGHT.encode("utf-16"), "null bytes"),
        ("def get_features(e): return e\n", "found get_features, expected get_training_data"),
        ("def getTrainingData(e): return e\n", "found getTrainingData, expected"),
        ("x = 1\n", "found no function, expected get_training_data"),
        (f"class A:\n    {RIGHT}", "get_training_data is not at the top level"),
    ],
)
def test_code_that_cannot_be_graded_fails_with_the_reason(
    source: str | bytes, reason: str, tmp_path: Path
) -> None:
    result = result_of(take(tmp_path, {f"{FOLDER}/{SCRIPT}": source}))
    assert result.status is Status.FAIL
    assert reason in result.message


@pytest.mark.parametrize(
    ("name", "content", "message", "reason"),
    [
        (f"{FOLDER}/{SCRIPT}.txt", RIGHT, NO_FOLDER, f"found {SCRIPT}.txt, expected a name"),
        (f"{FOLDER}/a.ipynb", cell("def f(:", "x"), NO_FUNCTION, "code cell 1, line 1"),
        (f"{FOLDER}/a.ipynb", "{", NO_FOLDER, "which is no notebook"),
        (SCRIPT, RIGHT, NO_FOLDER, f"found {SCRIPT}, expected an exercise_02… folder"),
        ("Exercise 2/a.py", RIGHT, NO_FOLDER, "found Exercise 2/a.py, expected an exercise_02…"),
        ("02_training/a.py", RIGHT, NO_FOLDER, "found 02_training/a.py, expected"),
    ],
)
def test_code_in_another_place_is_named(
    name: str, content: str, message: str, reason: str, tmp_path: Path
) -> None:
    result = result_of(take(tmp_path, {name: content, "other/b.py": ""}), message)
    assert result.status is Status.FAIL
    assert reason in result.message


@pytest.mark.parametrize(
    ("criterion", "folder", "message", "reason"),
    [
        ("1.1", "exercise_01", "no feature_store.yaml", "found a.py, expected feature_store.yaml"),
        ("4.1", "exercise_04", "no app/main.py in exercise_04, and", "expected app/main.py"),
        ("5.1", "exercise_05", "no flink_streaming_features.py in", "expected flink_streaming_f"),
    ],
)
def test_files_of_other_names_are_named(
    criterion: str, folder: str, message: str, reason: str, tmp_path: Path
) -> None:
    result = result_of(take(tmp_path, {f"{folder}/a.py": "x = 1\n"}), message, criterion)
    assert result.status is Status.FAIL
    assert reason in result.message


@pytest.mark.parametrize(
    "files",
    [
        {},
        {f"{FOLDER}/{SCRIPT}": "def get_training_data(e):\n    raise NotImplementedError\n"},
        {f"{FOLDER}/{SCRIPT}": "def create_entity_df(): return 1\n"},
        {"notes/a.py": RIGHT, "v2/b.py": RIGHT},
    ],
)
def test_what_is_to_be_written_yet_stays_so(files: Files, tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    assert result_of(take(tmp_path, files)).status is Status.NOT_ATTEMPTED


def test_what_needs_a_criterion_that_fails_so_is_skipped(tmp_path: Path) -> None:
    attempts = Attempts(take(tmp_path, {f"{FOLDER}/{SCRIPT}": "x = (\n"}))
    waiting = [Result(BY_ID[i], Status.NOT_ATTEMPTED, message="needs") for i in ("2.2", "3.1")]
    first = Result(BY_ID["2.1"], Status.NOT_ATTEMPTED, message=NO_FUNCTION)
    needing = [attempts.final(Result(r.criterion, r.status, message="needs …")) for r in waiting]
    assert [result.status for result in needing] == [Status.NOT_ATTEMPTED] * 2
    attempts.final(first)
    needing = [attempts.final(Result(r.criterion, r.status, message="needs …")) for r in waiting]
    assert [result.status for result in needing] == [Status.SKIPPED, Status.NOT_ATTEMPTED]


# ---- Two folders of one number -----------------------------------------------------------------

FULLER = RIGHT + "def export_training_data(e): return e\n"


@pytest.mark.parametrize(
    ("files", "graded"),
    [
        ({"exercise_02_a/a.py": RIGHT, "exercise_02_b/a.py": FULLER}, "exercise_02_b"),
        ({"exercise_02_a/a.py": FULLER, "Exercise-2/a.py": RIGHT}, "exercise_02_a"),
        ({"exercise_02_a/a.py": "x = 1\n" * 9, "exercise_2/a.py": RIGHT}, "exercise_2"),
        (
            {
                "exercise_02_a/a.py": RIGHT,
                "exercise_02_b/a.py": FULLER,
                "submission.toml": "[exercises]\n2 = 'exercise_02_a'\n[entities]\nuser_id = 'u'\n",
            },
            "exercise_02_a",
        ),
    ],
    ids=["fuller", "other spelling", "what the brief names", "chosen"],
)
def test_of_two_folders_the_fuller_or_the_chosen_is_graded(
    files: Files, graded: str, tmp_path: Path
) -> None:
    taken = take(tmp_path, files)
    others = {name.split("/")[0] for name in files if "/" in name} - {graded}
    assert taken.exercises == {2: graded}
    assert all(name in taken.notes[2] for name in (graded, *others))
    assert sorted(path for path in taken.folder.iterdir() if path.is_dir())[0].name == graded
    assert "exercises" not in "".join(f.read_text() for f in taken.folder.glob("*.toml"))


def test_a_sparse_file_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    (tmp_path / "ann" / FOLDER).mkdir(parents=True)
    with (tmp_path / "ann" / FOLDER / "data.bin").open("wb") as sparse:
        sparse.truncate(2**28)
    with pytest.raises(UserError, match="at most"):
        take(tmp_path, {f"{FOLDER}/{SCRIPT}": RIGHT}, submission_max_mib=200)
    copied = [path for path in (tmp_path / "taken").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in copied) < 2**20


def test_the_starter_files_name_the_functions_of_the_brief() -> None:
    assert {"create_entity_df", "get_training_data"} <= brief_functions(2)
    assert all(brief_functions(number) for number in (3, 6))
