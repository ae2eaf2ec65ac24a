"""Finds when a submission's monitoring runs, and runs it once as Airflow or cron would."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from croniter import croniter

from checker.sandbox import untrusted
from checker.sandbox.sandbox import Sandbox
from checker.submission.names import CRONTABS
from checker.submission.submission import Submission
from checker.verdict.outcome import SubmissionError

EXERCISE = 6
DAGS = "airflow_dags"
CRON_LINE = re.compile(r"(@\w+|\S+(?:\s+\S+){4})\s+(.+)")
ASSIGNMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)")
OURS = ("LAB_", "PYTHON", "AIRFLOW", "PATH", "HOME", "TZ", "SHELL")
NOT_RECURRING = ("OnceTimetable", "NullTimetable")
TRIED_ONCE = """
def task_policy(task):
    task.retries = 0
"""


@dataclass(frozen=True)
class Job:
    """When a command runs; `problem` says why it never would."""

    when: str
    command: str
    problem: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, submission: Submission) -> None:
        """Run it once from the root of the file system; SubmissionError when it fails."""
        submission.run(self.command, EXERCISE, cwd=Path("/"), env=self.environment)


def scheduled_jobs(submission: Submission) -> list[Job]:
    """The DAGs of airflow_dags/ and the lines of a crontab, in the exercise's folder."""
    folder = submission.exercise(EXERCISE)
    return [*_of_airflow(submission, folder / DAGS), *_of_cron(submission, folder)]


def _of_airflow(submission: Submission, folder: Path) -> Iterator[Job]:
    if not any(folder.glob("*.py")):
        return
    environment = {
        "AIRFLOW_HOME": str(_airflow_home(submission)),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    for dag in submission.probe("dags", exercise=EXERCISE, folder=str(folder)):
        never = "it has no schedule" if dag["timetable"] in NOT_RECURRING else ""
        command = f"airflow dags test {shlex.quote(str(dag['id']))}"
        yield Job(str(dag["when"]), command, dag["error"] or never, environment)


def _airflow_home(submission: Submission) -> Path:
    """A home for Airflow, with an empty database and a policy that a task is tried once."""
    home = submission.root / "airflow"
    database = _empty_database(submission.sandbox)
    with untrusted.written(home / "config" / "airflow_local_settings.py", submission.root) as file:
        file.write(TRIED_ONCE.encode())
    with untrusted.written(home / database.name, submission.root) as file:
        file.write(database.read_bytes())
    return home


def _empty_database(sandbox: Sandbox) -> Path:
    """A database that is made once for all submissions."""
    home = sandbox.folders.ours / "airflow_database"
    if not home.exists():
        airflow = Path(sys.executable).with_name("airflow")
        environment = {**os.environ, "AIRFLOW_HOME": str(home)}
        subprocess.run([airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    return home / "airflow.db"


def _of_cron(submission: Submission, folder: Path) -> Iterator[Job]:
    theirs, ours = str(submission.folder.resolve()), str(submission.root)
    files = [file for pattern in CRONTABS for file in sorted(folder.glob(pattern))]
    for file in files:
        environment: dict[str, str] = {}
        text = untrusted.content(file, submission.root).decode(errors="replace")
        for line in text.replace(theirs, ours).splitlines():
            if assigned := ASSIGNMENT.fullmatch(line):
                if not assigned[1].startswith(OURS):
                    environment[assigned[1]] = assigned[2].strip("'\" ")
            elif line.strip() and not line.lstrip().startswith("#"):
                yield _job(line.strip(), environment)


def _job(line: str, environment: dict[str, str]) -> Job:
    parts = CRON_LINE.fullmatch(line)
    if parts is None:
        return Job(line, "", "not a line of a crontab: five fields, then a command")
    when, command = parts[1], parts[2].replace("\\%", "%")
    problem = "" if croniter.is_valid(when) else f"{when} is not a time"
    return Job(when, command, problem, environment)


def run_for_a_report(
    submission: Submission, jobs: list[Job], features: Iterable[str]
) -> tuple[Job | None, list[str]]:
    """The first job that writes a report when it is run once; else what came of each."""
    said, names = [], [feature.encode() for feature in features]
    for job in jobs:
        before = _outputs(submission)
        try:
            job.run(submission)
            came = f"`{job.command}` wrote no report"
        except SubmissionError as error:
            came = error.message
        written = [f for f, when in _outputs(submission).items() if before.get(f) != when]
        contents = (_content(file, submission.root) for file in written)
        if any(name in content for content in contents for name in names):
            return job, []
        said.append(came)
    return None, said


def _outputs(submission: Submission) -> dict[Path, int]:
    """The files below data/, but for the registry, and when each was written."""
    folders = (submission.repo / "data", submission.exercise(EXERCISE) / "data")
    walks = (walk for folder in folders for walk in os.walk(folder))
    found: dict[Path, int] = {}
    for file in (Path(directory, name) for directory, _, names in walks for name in names):
        with suppress(FileNotFoundError):  # one of theirs may remove it just now
            if file.is_file():
                found[file.resolve()] = file.stat().st_mtime_ns
    found.pop(submission.registry_path.resolve(), None)
    return found


def _content(file: Path, root: Path) -> bytes:
    """What a file says; names of columns say nothing of a feature."""
    if file.suffix != ".parquet":
        return untrusted.content(file, root)
    return str(untrusted.table(file, root).to_csv(index=False, header=False)).encode()
