"""A run: the criteria it grades, its time, its environment, and nothing that it leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from checker.run.checking import criteria
from checker.run.classroom import estimate
from checker.run.grading_process import environment
from checker.settings import CheckerSettings
from checker.submission.workspace import make_workspace
from checker.verdict.brief import CRITERIA
from lab.errors import UserError
from tests.checker.cards import card
from tests.waiting import eventually


@pytest.mark.parametrize(
    ("what", "ids"),
    [
        ("2.4", "1.1 2.1 2.4"),
        ("5.3", "5.1 5.2 5.3"),
        ("5.5", "1.1 1.5 3.1 4.1 5.1 5.2 5.3 5.5"),
        ("3", "3.1 3.2 3.3 3.4 3.5 3.6"),
        (None, " ".join(criterion.id for criterion in CRITERIA)),
    ],
)
def test_a_criterion_is_graded_with_what_it_needs(what: str | None, ids: str) -> None:
    assert criteria(what) == ids.split()


@pytest.mark.parametrize("what", ["7", "0", "2.7", "two", "²", "2.4.1", "-1", ""])
def test_other_criteria_are_the_users_mistake(what: str) -> None:
    with pytest.raises(UserError, match="no exercise or criterion"):
        criteria(what)


def test_what_is_left_is_estimated_by_the_first_submission() -> None:
    assert card().seconds == 43.75
    assert estimate(card(), 39, 2) == "about 14 min left for 39 submissions"


@pytest.mark.parametrize(
    "moved",
    ["LAB_REDIS_PORT", "LAB_KAFKA_PORT", "LAB_API_PORT", "LAB_FLINK_REST_PORT", "LAB_REDIS_URL"],
)
def test_the_instructors_ports_do_not_reach_a_sandbox(moved: str) -> None:
    own = {moved: "7000", "LAB_DATA_DIR": "data", "PATH": "bin"}
    given = environment(own, CheckerSettings())
    assert moved not in given
    assert {"LAB_DATA_DIR", "PATH", "LAB_SERVING_RATE"} <= set(given)


@pytest.mark.services
@pytest.mark.parametrize(
    ("what", "made"),
    [(["1"], "lab-hidden-*"), ([], "lab-grading-*")],
    ids=["an exercise", "all, in two processes"],
)
def test_a_check_that_is_stopped_leaves_nothing_behind(
    what: list[str], made: str, tmp_path: Path
) -> None:
    make_workspace(tmp_path / "ann")
    job = tmp_path / "ann" / "exercise_05_streaming" / "flink_streaming_features.py"
    job.write_text("print('begun')")
    words = ["check", *what, "--submission", str(tmp_path / "ann")]
    command = [sys.executable, "-c", "from checker.cli import main; main()", *words]
    with TemporaryDirectory(prefix="lab-t-") as temporary:
        environment = {**os.environ, "TMPDIR": temporary}
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as run:
            children = psutil.Process(run.pid).children
            eventually(lambda: list(Path(temporary).glob(made)))
            started = children(recursive=True)
            assert "redis-server" in [process.name() for process in started]
            run.send_signal(signal.SIGHUP)
            assert run.wait(60) == 128 + signal.SIGHUP
        _, alive = psutil.wait_procs(started, timeout=60)
        assert not alive
        assert list(Path(temporary).glob("lab-[!t]*")) == []
