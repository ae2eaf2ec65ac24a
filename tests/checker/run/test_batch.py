"""Many submissions at once: none harms another, and an interrupted run can be continued."""

import json
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from typer.testing import CliRunner

from checker.cli import app, exit_status
from checker.run.batch import BatchRun
from checker.run.packages import install
from checker.run.runner import criteria_of
from checker.run.time_limit import time_limit
from checker.sandbox.sandbox import Sandbox
from checker.settings import CheckerSettings
from checker.submission.workspace import make_workspace
from checker.verdict.outcome import Outcome, Status, SubmissionError
from checker.verdict.provenance import REQUIRED, provenance
from checker.verdict.results import Result, Scorecard, read_scorecard
from lab.errors import UserError
from tests.checker.cards import card, mixed
from tests.checker.conftest import GradeBy
from tests.waiting import eventually

FEATURES = Path("exercise_01_setup", "feature_repo", "features.py")
SEED = 5


@pytest.fixture
def lowered(config: CheckerSettings, monkeypatch: pytest.MonkeyPatch) -> CheckerSettings:
    """Set the lowered limits; other processes find no data of the lab either."""
    monkeypatch.setenv("LAB_DATA_DIR", str(config.data_dir))
    return config


@pytest.fixture
def submissions(tmp_path: Path) -> list[Path]:
    """Return an empty submission, a failing one, a killer of the grader, a good and a bad ZIP."""
    names = ("nothing", "wrong", "killer")
    folders = [tmp_path / "class" / name for name in names]
    for folder in folders:
        make_workspace(folder)
    (folders[1] / FEATURES).write_text("user = 1 / 0\n")
    (folders[2] / FEATURES).write_text(
        "import os, signal\n"
        "parent = os.getppid()\n"
        "stat = open(f'/proc/{parent}/stat').read()\n"
        "os.kill(int(stat.rpartition(')')[2].split()[1]), signal.SIGKILL)\n"
    )
    good, bad = tmp_path / "class" / "good.zip", tmp_path / "class" / "bad.zip"
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr(f"wrapper/{FEATURES}", "")
        archive.writestr(f"wrapper/{FEATURES.with_name('feature_store.yaml')}", "project: p")
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../outside.py", "")
    return [*folders, good, bad]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield an empty folder for temporary files; sockets need a short name."""
    with TemporaryDirectory(prefix="lab-t-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def statuses(scorecard: Scorecard) -> set[Status]:
    return set(scorecard.status_of().values())


@pytest.mark.slow
def test_one_bad_submission_harms_no_other_and_a_second_run_grades_only_what_is_left(
    submissions: list[Path],
    lowered: CheckerSettings,
    temporary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A commit made meanwhile would change the grader's version.
    monkeypatch.setattr("checker.run.batch.SAME", ("submission_hash", "thresholds_hash"))
    batch = BatchRun(submissions, tmp_path / "out", criteria_of(1), lowered, jobs=2, seed=SEED)
    nothing, wrong, killer, good, bad = batch.grade()
    assert statuses(nothing) == statuses(good) == {Status.NOT_ATTEMPTED}
    assert statuses(wrong) == {Status.FAIL, Status.SKIPPED}
    assert Status.PASS not in statuses(killer)
    assert "points outside" in bad.results[0].message
    assert statuses(bad) == {Status.FAIL}
    assert {c.seed for c in (nothing, wrong, good)} == {SEED}
    assert not (tmp_path / "outside.py").exists()
    assert list(temporary.iterdir()) == []
    assert running_in(temporary) == []
    assert [child for child in psutil.Process().children() if is_worker(child)] == []

    (submissions[0] / FEATURES).write_text("user = 1 / 0\n")
    graded: list[Result] = []
    again = BatchRun(submissions[:2], batch.out, batch.ids, lowered, on_result=graded.append)
    cards = again.grade()
    assert [c.submission for c in cards] == ["nothing", "wrong"]
    assert len(graded) == 6
    assert statuses(cards[0]) == {Status.FAIL, Status.SKIPPED}
    assert cards[1] == read_scorecard(batch.scorecard("wrong")) == wrong
    assert json.loads((batch.out / "run.json").read_text()) == {"seed": SEED}


def running_in(folder: Path) -> list[str]:
    """Return the programs that work in a folder, as Redis does in that of its data."""
    found = psutil.process_iter(["name", "cwd"])
    return [p.info["name"] for p in found if (p.info["cwd"] or "").startswith(str(folder))]


def test_two_submissions_of_one_name_are_the_users_mistake(tmp_path: Path) -> None:
    sources = [tmp_path / "a" / "ann", tmp_path / "b" / "ann.zip"]
    with pytest.raises(UserError, match="two submissions are called ann"):
        BatchRun(sources, tmp_path / "out", criteria_of(1), CheckerSettings()).grade()


def test_a_scorecard_is_not_replaced_by_one_of_other_criteria(tmp_path: Path) -> None:
    batch = BatchRun([tmp_path / "ann"], tmp_path / "out", criteria_of(1), CheckerSettings())
    whole = batch.scorecard("ann")
    card("ann").write(whole)
    written = whole.read_text()
    with pytest.raises(UserError, match="criteria that this run does not grade"):
        batch.grade()
    assert whole.read_text() == written


def test_other_packages_are_another_provenance(tmp_path: Path) -> None:
    def packages_hash(requirements: str) -> str:
        (tmp_path / REQUIRED).write_text(requirements)
        config = CheckerSettings().model_copy(update={"extra_packages": tmp_path})
        return provenance(config, tmp_path).packages_hash

    assert packages_hash("pandas") == packages_hash("pandas") != packages_hash("polars")
    assert provenance(CheckerSettings(), tmp_path).packages_hash == ""


def test_a_replay_takes_the_same_names_and_packages(tmp_path: Path) -> None:
    (tmp_path / "bob.zip").write_text("no archive")
    (tmp_path / REQUIRED).write_text("pandas")
    config = CheckerSettings().model_copy(update={"extra_packages": tmp_path})
    batch = BatchRun([tmp_path / "bob.zip"], tmp_path / "out", criteria_of(2), config, seed=7)
    (refused,) = replace(batch, overrides=tmp_path / "names").grade()
    assert refused.replay(refused.results[0]) == (
        "lab grade bob --exercise 2 --out replayed/2 --seed 7 "
        f"--overrides {tmp_path}/names --requirements {tmp_path}/{REQUIRED}"
    )


def test_another_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(UserError, match="not of lab grade"):
        BatchRun([], tmp_path, criteria_of(1), CheckerSettings()).grade()


def test_a_dry_run_prints_what_is_found_and_grades_nothing(tmp_path: Path) -> None:
    make_workspace(tmp_path / "ann")
    out, nobody = tmp_path / "out", tmp_path / "nobody"
    words = ["grade", str(tmp_path / "ann"), "--dry-run", "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, out.exists()) == (0, False)
    assert "6 exercise_06_monitoring: nothing yet" in done.output
    assert CliRunner().invoke(app, [*words, str(nobody)]).exit_code == 2


@pytest.mark.parametrize(
    ("scorecard", "fail_under", "status"),
    [
        (card(), None, 0),
        (card(), 35, 0),
        (card(c5_1=Status.NOT_ATTEMPTED), None, 0),
        (card(c5_1=Status.NOT_ATTEMPTED), 35, 1),
        (card(c5_1=Status.FAIL), None, 1),
        (card(c5_1=Status.FAIL), 34, 0),
        (mixed(), 1, 3),
    ],
)
def test_the_status_names_the_end(
    scorecard: Scorecard, fail_under: int | None, status: int
) -> None:
    assert exit_status(scorecard, fail_under) == status


def test_a_missing_import_is_named(grade_by: GradeBy, tmp_path: Path) -> None:
    def unable(_: object) -> Outcome:
        log = "Traceback\nModuleNotFoundError: No module named 'lightgbm.sklearn'"
        raise SubmissionError("NameError: model", log_tail=log)

    (result,) = grade_by({"6.1": unable}, tmp_path)
    assert result.hint.startswith("nothing is called lightgbm.sklearn: ")


def wheel(folder: Path, name: str) -> Path:
    """Return a package of one module, which names its source."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "origin = 'the class'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return file


def test_extra_packages_are_for_submissions_and_what_they_start(
    box: Sandbox, tmp_path: Path
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(str(wheel(tmp_path, "class_tools")))
    packages = install(requirements, tmp_path / "packages")
    script = tmp_path / "script.py"
    script.write_text(
        "import subprocess, sys, class_tools\n"
        "code = 'import class_tools; print(class_tools.origin)'\n"
        "def f():\n"
        "    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)\n"
        "    return [class_tools.origin, done.stdout.strip()]\n"
    )
    with_packages = replace(box, packages=[packages])
    log = tmp_path / "log"
    child = with_packages.child(cwd=tmp_path, path=[], env={}, log=log, memory_bytes=8 * 2**30)
    try:
        assert child.ask(60, do="load", file=str(script))["raised"] is None
        result = child.ask(60, do="call", file=str(script), function="f", args=[], kwargs={})
    finally:
        child.close()
    assert result == ["the class", "the class"]


def test_requirements_that_cannot_be_installed_are_the_users_mistake(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(str(tmp_path / "nothing-1.0-py3-none-any.whl"))
    with pytest.raises(UserError, match="cannot be installed"):
        install(requirements, tmp_path / "packages")


# ---- Time --------------------------------------------------------------------------------------


def test_a_timer_that_ran_before_goes_on() -> None:
    rang: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with time_limit(60):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.2
        signal.pause()
        assert rang == [1]
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left)


def test_a_submission_without_time_left_keeps_earlier_verdicts(
    grade_by: GradeBy, tmp_path: Path
) -> None:
    def quick(_: object) -> Outcome:
        return Outcome(True, "1", "1")

    def slow(_: object) -> Outcome:
        time.sleep(60)
        return Outcome(True, "1", "1")

    checks = {"5.1": quick, "5.2": slow, "6.1": quick}
    first, second, third = grade_by(checks, tmp_path, submission_limit_s=0.5)
    assert first.status is Status.PASS
    assert (second.status, second.message[:9]) == (Status.FAIL, "took more")
    assert (third.status, third.message[:10]) == (Status.FAIL, "not judged")


@pytest.mark.slow
@pytest.mark.services
def test_a_run_that_is_stopped_takes_its_processes_with_it(tmp_path: Path) -> None:
    make_workspace(tmp_path / "ann")
    words = ["grade", str(tmp_path / "ann"), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", "from checker.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        children = psutil.Process(run.pid).children
        eventually(lambda: any(map(is_worker, children(recursive=True))))
        started = children(recursive=True)
        run.terminate()
        assert run.wait(60) == 143
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive


def is_worker(process: psutil.Process) -> bool:
    """Return whether a process, which may have ended, grades a submission."""
    try:
        return "checker.run.worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
