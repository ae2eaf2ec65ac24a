"""Finds when a submission's monitoring runs, and runs it once as Airflow or cron would."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from croniter import CroniterBadDateError, croniter

from checker.sandbox import untrusted
from checker.sandbox.sandbox import Sandbox
from checker.submission.names import CRONTABS
from checker.submission.submission import Submission
from lab.settings import utc_now

EXERCISE = 6
DAGS = "airflow_dags"
CRON_LINE = re.compile(r"(@\w+|\S+(?:\s+\S+){4})\s+(.+)")
ASSIGNMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)")
OURS = ("LAB_", "PYTHON", "AIRFLOW", "PATH", "HOME", "TZ", "SHELL")
UNESCAPED_PERCENT = re.compile(r"(?<!\\)%")  # cron ends the command there
RUNS = 100
LONGEST_WAIT = timedelta(days=3, hours=1)  # over a weekend, and a change of the clock
# A task is tried once. Airflow 3 renamed `schedule_interval` of Airflow 2; the rest still works.
LOCAL_SETTINGS = """
from airflow.sdk import DAG


def task_policy(task):
    task.retries = 0


construct = DAG.__init__


def construct_by_old_name(dag, *args, schedule_interval=None, **options):
    if schedule_interval is not None:
        options["schedule"] = schedule_interval
    construct(dag, *args, **options)


DAG.__init__ = construct_by_old_name
"""


@dataclass(frozen=True)
class Job:
    """The schedule of a command; `problem` is the reason why it would never run."""

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
    if shadow := _shadow_of_airflow(submission):
        yield Job(DAGS, "", f"{shadow} hides Apache Airflow; rename it", environment)
        return
    with submission.prober(EXERCISE, environment) as probe:
        dags = probe("dags", folder=str(folder), count=RUNS)
    for dag in dags:
        runs = [datetime.fromisoformat(run) for run in dag["runs"]]
        command = f"airflow dags test {shlex.quote(str(dag['id']))}"
        yield Job(str(dag["when"]), command, dag["error"] or rare(runs, utc_now()), environment)


def _shadow_of_airflow(submission: Submission) -> str:
    """Return a module of the submission that Python would import in place of Airflow."""
    folders = (submission.exercise(EXERCISE), submission.repo, submission.root)
    modules = ("airflow.py", "airflow/__init__.py")
    return next((name for name in modules for folder in folders if (folder / name).exists()), "")


def rare(runs: Sequence[datetime], now: datetime) -> str:
    """Return the fault of a schedule that never runs, or too rarely; `runs` are the next ones."""
    coming = [run for run in runs if run > now]
    if not coming:
        return "it never runs"
    wait, start = max((later - run, run) for run, later in pairwise([now, *coming]))
    return f"no run for {wait.days} days from {start:%Y-%m-%d}" if wait > LONGEST_WAIT else ""


def _airflow_home(submission: Submission) -> Path:
    """Make a home for Airflow, with an empty database and our settings."""
    home = submission.root / "airflow"
    database = _empty_database(submission.sandbox)
    with untrusted.written(home / "config" / "airflow_local_settings.py", submission.root) as file:
        file.write(LOCAL_SETTINGS.encode())
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
    when, command = parts[1], UNESCAPED_PERCENT.split(parts[2])[0].replace("\\%", "%")
    problem = "it is not a time" if not croniter.is_valid(when) else rare(_runs(when), utc_now())
    return Job(when, command, problem, environment)


def _runs(when: str) -> list[datetime]:
    """Return the next runs of a cron expression; none if it has no such day."""
    moments = croniter(when, utc_now())
    try:
        return [moments.get_next(datetime) for _ in range(RUNS)]
    except CroniterBadDateError:
        return []
