"""What a submission leaves in its folder leads the grader neither outside nor into an error."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.grading import untrusted
from lab.grading.folders import Folders
from lab.grading.monitoring.schedule import _airflow_home, run_for_a_report, scheduled_jobs
from lab.grading.outcome import SubmissionError
from lab.grading.sandbox import Sandbox
from lab.grading.serving_model import provide_model
from lab.grading.streaming.stream import _point_at
from lab.grading.submission import Submission

SECRET = "SECRET of the grader"
SCRIPT = "print('more than a stub')\n"

Make = Callable[..., Submission]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    return file


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A submission of a feature_store.yaml and a script per exercise; none of its code is run."""

    def made(settings: str = "project: shop\n") -> Submission:
        for number in range(1, 7):
            exercise = tmp_path / "theirs" / f"exercise_0{number}"
            exercise.mkdir(parents=True)
            (exercise / "script.py").write_text(SCRIPT)
        (tmp_path / "theirs" / "exercise_01" / "feature_store.yaml").write_text(settings)
        folders = Folders(tmp_path / "box")
        folders.root.mkdir()
        folders.make()
        redis: Any = type("Redis", (), {"port": 6379})
        nothing: Any = None
        return Submission(tmp_path / "theirs", Sandbox(folders, nothing, redis), nothing)

    return made


def replaced(file: Path, target: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(target)


# ---- feature_store.yaml --------------------------------------------------------------------------


def test_its_variables_are_those_of_the_sandbox(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRET)
    submission = make("registry: $LAB_FEATURE_REPO/data/r.db\nproject: ${SLACK_WEBHOOK_URL} $HOME")
    assert submission.registry_path == submission.repo / "data" / "r.db"
    assert submission.project == f"${{SLACK_WEBHOOK_URL}} {submission.sandbox.directory}"


@pytest.mark.parametrize(
    "settings",
    [
        "entity_key_serialization_version: ${SLACK_WEBHOOK_URL}",
        "entity_key_serialization_version: [3]",
        "entity_key_serialization_version: .inf",
        "entity_key_serialization_version: 2026-99-99",
        "entity_key_serialization_version: !!bool 3",
    ],
)
def test_a_key_version_that_is_none_is_its_mistake(
    settings: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRET)
    with pytest.raises(SubmissionError, match=r"not a number|not valid YAML") as raised:
        make(settings).key_version  # noqa: B018
    assert SECRET not in raised.value.message


@pytest.mark.parametrize("registry", ["/outside.db", "../../r.db", '"a\\0b"'])
def test_a_registry_elsewhere_is_its_mistake(registry: str, make: Make) -> None:
    with pytest.raises(SubmissionError, match="the registry"):
        make(f"registry: {registry}").registry_path  # noqa: B018


# ---- Links that are made while it runs -----------------------------------------------------------


@pytest.mark.parametrize("name", ["crontab", "own.cron"])
def test_a_crontab_that_is_a_link_is_not_read(name: str, make: Make, secret: Path) -> None:
    submission = make()
    replaced(submission.exercise(6) / name, secret)
    with pytest.raises(SubmissionError, match="not a file of the submission"):
        scheduled_jobs(submission)


def test_settings_that_are_a_link_are_not_read(make: Make, secret: Path) -> None:
    submission = make()
    replaced(submission.repo / "feature_store.yaml", secret)
    with pytest.raises(SubmissionError, match="not a file of the submission"):
        submission.store_config  # noqa: B018


def test_a_report_that_is_a_link_is_not_read(make: Make, secret: Path) -> None:
    submission = make()
    (submission.repo / "data").mkdir()

    class Linking:
        command = "ln -s"

        def run(self, _: Submission) -> None:
            replaced(submission.repo / "data" / "report.txt", secret)

    job: Any = Linking()
    with pytest.raises(SubmissionError, match="not a file of the submission"):
        run_for_a_report(submission, [job], ["SECRET"])


def test_the_folder_itself_may_become_a_link(make: Make, secret: Path) -> None:
    submission = make()
    submission.root.rename(submission.root.with_name("moved"))
    submission.root.symlink_to(secret.parent)
    with pytest.raises(SubmissionError, match="not a file of the submission"):
        untrusted.content(submission.root / "secret", submission.root)


def test_nothing_is_written_through_a_link_that_leads_outside(make: Make, secret: Path) -> None:
    submission = make()
    replaced(submission.root / "link", secret)
    replaced(submission.root / "folder", secret.parent)
    replaced(submission.root / "circle", submission.root / "circle")
    for name in ("link", "folder/secret", "folder/new", "circle"):
        with (
            pytest.raises(SubmissionError, match=r"outside|nowhere"),
            untrusted.written(submission.root / name, submission.root),
        ):
            pass
    assert secret.read_text() == SECRET
    assert not secret.with_name("new").exists()


WRITERS: dict[str, tuple[str, Callable[[Submission], object]]] = {
    "stream": ("exercise_05/job.py", partial(_point_at, "127.0.0.1:19092")),
    "model": ("exercise_04/models", provide_model),
    "airflow": ("airflow", _airflow_home),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_step_of_the_grader_writes_through_a_link(
    writer: str, make: Make, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.grading.serving_model._trained", lambda _: "a model")
    monkeypatch.setattr("lab.grading.monitoring.schedule._empty_database", lambda _: secret)
    name, write = WRITERS[writer]
    submission = make()
    elsewhere = secret.with_name("elsewhere")
    elsewhere.mkdir()
    replaced(submission.root / name, secret if writer == "stream" else elsewhere)
    with pytest.raises(SubmissionError):
        write(submission)
    assert secret.read_text() == SECRET
    assert not any(elsewhere.iterdir())


def test_a_file_is_written_anew_through_a_link_within(make: Make) -> None:
    root = make().root
    (root / "file").write_text("longer than before")
    replaced(root / "link", root / "file")
    for name in ("link", "new/file"):
        with untrusted.written(root / name, root) as file:
            file.write(b"short")
        assert (root / name).read_text() == "short"


def test_a_pipe_or_a_folder_is_no_file_to_write(make: Make) -> None:
    root = make().root
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder", "pipe/file"):
        with (
            pytest.raises(SubmissionError, match="cannot be written"),
            untrusted.written(root / name, root),
        ):
            pass
