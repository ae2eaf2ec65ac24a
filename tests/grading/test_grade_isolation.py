"""With LAB_ISOLATION=files a submission reads nothing private and writes only its own folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lab.errors import UserError
from lab.grading.hidden import make_hidden_data
from lab.grading.isolation import assert_works, isolated
from lab.grading.outcome import Status
from lab.grading.runner import Grader, criteria_of
from lab.grading.sandbox import sandbox
from lab.settings import Settings, settings, utc_now

PLAIN = settings.root / "tests" / "submissions" / "right" / "plain"


@pytest.fixture
def apart(config: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    # As in a grader that has imported Feast; in the sandbox that folder is not there.
    (tmp_path / "metrics").mkdir()
    for name in ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "metrics"))
    try:
        assert_works()
    except UserError as error:
        pytest.skip(str(error))
    return config.model_copy(update={"isolation": "files"})


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def said_by(code: str, scratch: Path, config: Settings) -> str:
    command = isolated([sys.executable, "-c", code], scratch, config)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_only_the_scratch_folder_is_written(scratch: Path, tmp_path: Path, apart: Settings) -> None:
    files = [tmp_path / "beside", Path.home() / "lab-owned", settings.root / "lab-owned"]
    inside = scratch / "inside"
    code = (
        f"for file in {[str(f) for f in [*files, inside]]}:\n"
        "    try: open(file, 'w').write('owned')\n"
        "    except OSError: pass\n"
    )
    said_by(code, scratch, apart)
    assert inside.read_text() == "owned"
    assert not any(file.exists() for file in files)


def test_temporary_files_of_others_are_not_seen(
    scratch: Path, tmp_path: Path, apart: Settings
) -> None:
    (tmp_path / "answers").write_text("42")
    code = f"import os; print(os.path.exists({str(tmp_path / 'answers')!r}), os.listdir('/tmp'))"
    assert said_by(code, scratch, apart).startswith("False")


def test_the_services_answer_to_the_names_of_a_compose_file(scratch: Path, apart: Settings) -> None:
    names = ["localhost", "redis", "kafka", "broker"]
    code = f"import socket; print({{socket.gethostbyname(name) for name in {names}}})"
    assert said_by(code, scratch, apart).strip() == "{'127.0.0.1'}"


def test_the_memory_and_files_of_the_grader_are_out_of_reach(
    scratch: Path, apart: Settings
) -> None:
    places = [f"/proc/{os.getpid()}/{name}" for name in ("environ", "mem", "root/etc/hostname")]
    code = (
        f"for place in {places}:\n"
        "    try: print(len(open(place, 'rb').read(9)))\n"
        "    except OSError: print('refused')\n"
    )
    assert said_by(code, scratch, apart).split() == ["refused"] * 3


def test_where_namespaces_are_missing_it_is_said(
    scratch: Path, apart: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="does not work here"):
        isolated(["true"], scratch, apart)


def test_a_right_solution_passes_steals_nothing_and_leaves_nothing_running(
    apart: Settings, tmp_path: Path
) -> None:
    hidden = make_hidden_data(tmp_path / "hidden", 3, utc_now(), apart)
    assert list(hidden.directory.glob("*.parquet"))
    folder = Path(shutil.copytree(PLAIN, tmp_path / "solution"))
    with (folder / "exercise_01_setup" / "features.py").open("a") as features:
        features.write(
            f"import pathlib\nassert not pathlib.Path({str(hidden.directory)!r}).exists()\n"
        )
    before = set(psutil.Process().children(recursive=True))
    with sandbox(apart) as box:
        card = Grader(box, hidden, apart).grade(folder, criteria_of(1))
        started = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(list(started), timeout=30)
    assert not alive
    assert card.count(Status.PASS) == 6, [r.message + r.log_tail for r in card.results]
