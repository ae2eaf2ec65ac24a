"""The schedule, run for real: by Airflow on SQLite, and as cron would, from the root folder."""

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import polars as pl
import pytest
from croniter import croniter

from exercise_06_monitoring import state
from exercise_06_monitoring.state import AlertState, earlier_runs, record_run
from lab.learn import utc_now
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from tests.exercise_06.web_hook import WebHook, web_hook
from tests.settings_in_force import PointSettings, variables
from tests.shop import AS_OF

EXERCISE = settings.root / "exercise_06_monitoring"
DAGS = EXERCISE / "airflow_dags"
AIRFLOW = Path(sys.executable).with_name("airflow")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CRON_LINE = re.compile(r"^((?:[\d*]+ ){5})(.+)$")
BY_HAND = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r}, include_examples=False)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["monitor_features"]
(task,) = dag.tasks
(on_failure,) = task.on_failure_callback
on_failure({{"run_id": "manual__1"}})
run = dag.test(logical_date=None)
print(dag.timetable.expression, dag.catchup, dag.max_active_runs, task.retries)
print(run.state, run.run_after.date())
"""


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as receiver:
        yield receiver


@pytest.fixture
def environment(shop: Path, shop_redis: RedisServer, hook: WebHook) -> dict[str, str]:
    """Return an environment as small as cron's, with the shop's and the receiver's addresses."""
    shop_redis.client().flushall()
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SLACK_WEBHOOK_URL": hook.url,
        **variables(
            data_dir=settings.data_dir,
            as_of=AS_OF,
            build_dir=settings.build_dir,
            model_dir=settings.model_dir,
            redis_port=settings.redis_port,
            api_port=free_port(),
        ),
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def pages() -> list[Path]:
    """Return the pages of all runs, the latest run's last."""
    files = (settings.data_dir / "monitoring").glob("report_*.html")
    return sorted(files, key=lambda file: file.stat().st_mtime_ns)


def report() -> str:
    """Return the page of the day."""
    return (settings.data_dir / "monitoring" / f"report_{AS_OF:%Y-%m-%d}.html").read_text()


def amounts_times_a_hundred_since(moment: datetime) -> None:
    """Change dollars to cents from that time on."""
    file = settings.data_dir / "user_stats.parquet"
    mean = pl.col("avg_transaction_amount")
    is_new = pl.col("event_timestamp") >= moment
    rows = pl.read_parquet(file)
    rows.with_columns(pl.when(is_new).then(mean * 100).otherwise(mean)).write_parquet(file)


@pytest.fixture
def airflow(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return environment | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }


@pytest.mark.airflow
def test_the_dag_runs_by_schedule_and_by_hand(airflow: dict[str, str], hook: WebHook) -> None:
    """Airflow 3 gives a run by hand no logical date and no interval: it has its own time."""
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    run([str(AIRFLOW), "db", "migrate"], airflow)
    run([str(AIRFLOW), "dags", "test", "monitor_features", AS_OF.isoformat()], airflow)
    assert any("avg_transaction_amount" in text for text in hook.texts)
    assert "avg_transaction_amount" in report()
    environment = airflow | {"PYTHONPATH": str(settings.root)}
    output = run([sys.executable, "-c", BY_HAND.format(folder=str(DAGS))], environment)
    settings_of_dag, (state, day) = output.splitlines()[-2], output.splitlines()[-1].split()
    assert settings_of_dag == "2 * * * * False 1 2"
    assert state == "success"
    assert pages()[-1].name == f"report_{day}.html"
    about_the_run = [text for text in hook.texts if "monitoring: run" in text]
    assert [text.split("]")[0] for text in about_the_run] == ["[CRITICAL", "[RESOLVED"]


def cron_line() -> tuple[str, str]:
    lines = (EXERCISE / "crontab").read_text().splitlines()
    (found,) = filter(None, map(CRON_LINE.match, lines))
    return found[1], found[2]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "monitoring.log"


@pytest.fixture
def cron(environment: dict[str, str], tmp_path: Path, log: Path) -> Callable[[datetime], str]:
    """Return a function that runs the crontab's line at a time, which `date` prints.

    It returns what cron would mail.
    """
    when, command = cron_line()
    times = croniter(when, AS_OF)
    assert times.get_next() + HOUR.total_seconds() == times.get_next()
    command = f"({command.replace('.venv/bin/python', sys.executable)}) 2>&1"
    date = tmp_path / "bin" / "date"
    date.parent.mkdir()

    def run_at(moment: datetime) -> str:
        date.write_text(f'#!/bin/sh\ntest "$*" = "-u -Iseconds" && echo {moment.isoformat()}\n')
        date.chmod(0o755)
        path = f"{date.parent}:{environment['PATH']}"
        changed = {"LAB": str(settings.root), "LOG": str(log), "PATH": path}
        return run(["/bin/sh", "-c", command], environment | changed)

    return run_at


def test_a_pipeline_that_stopped_is_found_by_the_clock(
    cron: Callable[[datetime], str], hook: WebHook, log: Path
) -> None:
    """The as-of of the data, which stand still, would find nothing."""
    assert cron(AS_OF) == "", "cron mails output"
    assert "as of 2026-06-01 09:30 UTC" in log.read_text()
    assert not any("freshness" in text for text in hook.texts)
    cron(AS_OF + DAY)
    found = [text for text in hook.texts if "user_transaction_features.freshness" in text]
    assert [text.split(":")[0] for text in found] == ["[CRITICAL] data_quality"]
    cron(AS_OF + 9 * DAY)
    assert [text for text in hook.texts if text in found] == found, "a dataset stands still"


def test_a_run_waits_for_the_one_before_and_cron_mails_its_error(log: Path) -> None:
    job = "sh -c 'echo a line; echo one sentence >&2; exit 2'"
    command = cron_line()[1].replace(".venv/bin/python -m exercise_06_monitoring", f"{job} ")
    environment = os.environ | {"LAB": "/", "LOG": str(log)}
    streams: dict[str, Any] = {"stdout": PIPE, "stderr": STDOUT, "text": True}
    with log.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = subprocess.Popen(["/bin/sh", "-c", command], env=environment, **streams)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
    assert process.communicate(timeout=60) == ("one sentence\n", None)
    assert process.returncode == 2
    assert log.read_text() == "a line\n"


def test_an_old_day_again_has_its_own_page_and_changes_no_alert(
    cron: Callable[[datetime], str], hook: WebHook, log: Path
) -> None:
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    cron(AS_OF)
    before, texts, alerts = report(), list(hook.texts), AlertState().open_alerts()
    assert "avg_transaction_amount" in before
    assert "there is no model" in before
    assert any("avg_transaction_amount" in text for text in texts)
    old = AS_OF - 8 * DAY
    cron(old)
    assert f"report_{old:%Y-%m-%d_%H%M}_again.html" in log.read_text()
    assert (report(), hook.texts, AlertState().open_alerts()) == (before, texts, alerts)
    _, again = pages()
    assert "No check failed" in again.read_text()
    cron(AS_OF.astimezone(timezone(-11 * HOUR)))
    assert log.read_text().count("as of 2026-06-01 09:30 UTC") == 2
    assert (hook.texts, AlertState().open_alerts()) == (texts, alerts)


def test_a_run_ahead_of_the_clock_silences_no_other(
    point_settings: PointSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_settings(data_dir=tmp_path)
    record_run(utc_now() + 30 * DAY)
    now = utc_now()
    is_newest, before = earlier_runs(now)
    assert is_newest
    assert before is not None
    assert before < now
    assert earlier_runs(now) == (True, before), "a run that did not end is none"
    record_run(now)
    assert earlier_runs(now) == (True, before), "a retry"
    assert not earlier_runs(now - HOUR)[0]
    monkeypatch.setattr(state, "utc_now", lambda: now + 30 * DAY)
    record_run(now + 30 * DAY)
    monkeypatch.undo()
    assert earlier_runs(now)[0], "the clock was ahead, and was corrected"


def test_a_drift_is_sent_once_and_so_is_its_end(
    environment: dict[str, str], hook: WebHook, shop: Path
) -> None:
    """Of production, whose parts but for Alertmanager leave the solution's alerts."""
    parts = ["large_tables", "metrics_exposition"]
    command = [sys.executable, "-m", "exercise_06_monitoring.production", *parts]
    environment |= {"PYTHONPATH": str(settings.root)}
    healthy = (shop / "user_stats.parquet").read_bytes()
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    run(command, environment)
    about = [text for text in hook.texts if "drift: avg_transaction_amount" in text]
    assert len(about) == 1
    run(command, environment)
    assert hook.texts.count(about[0]) == 1
    (shop / "user_stats.parquet").write_bytes(healthy)
    run(command, environment)
    assert any("[RESOLVED] drift: avg_transaction_amount" in text for text in hook.texts)
