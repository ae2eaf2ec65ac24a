"""A schedule runs at least once in three days; a job in a crontab is read as cron reads it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checker.monitoring.schedule import Job, _of_cron, _shadow_of_airflow


def jobs(folder: Path, line: str) -> list[Job]:
    (folder / "crontab").write_text(line)
    submission: Any = SimpleNamespace(folder=folder, root=folder)
    return list(_of_cron(submission, folder))


@pytest.mark.parametrize(
    "when", ["15 6 * * *", "@daily", "@hourly", "0 7 * * 1-5", "*/10 * * * *", "0 6,18 * * mon-fri"]
)
def test_a_schedule_of_every_day_is_valid(when: str, tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, f"{when} python monitor.py\n")
    assert job.problem == ""


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("0 6 31 2 *", "it never runs"),
        ("0 6 1 1 *", "no run for"),
        ("@yearly", "no run for"),
        ("@weekly", "no run for"),
        ("0 6 * * 1", "no run for"),
        ("0 6 1-7 * *", "no run for"),
        ("75 6 * * *", "it is not a time"),
        ("@reboot", "it is not a time"),
    ],
)
def test_a_schedule_that_hardly_comes_is_not(when: str, problem: str, tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, f"{when} python monitor.py\n")
    assert job.problem.startswith(problem), job.problem


def test_cron_ends_a_command_at_a_percent_sign(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, r"@daily python monitor.py --day=$(date +\%F) > log.%d")
    assert job.command == "python monitor.py --day=$(date +%F) > log."


def test_a_package_that_shadows_airflow_is_found(tmp_path: Path) -> None:
    submission: Any = SimpleNamespace(exercise=lambda _: tmp_path, repo=tmp_path, root=tmp_path)
    (tmp_path / "airflow" / "dags").mkdir(parents=True)
    assert _shadow_of_airflow(submission) == ""
    (tmp_path / "airflow" / "__init__.py").touch()
    assert _shadow_of_airflow(submission) == "airflow/__init__.py"
