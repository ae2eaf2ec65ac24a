"""The schedule, run for real: by Airflow on SQLite, and as cron would, from the root folder."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from croniter import croniter

from exercise_06_monitoring.production import runs
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from tests.exercise_06.web_hook import WebHook, web_hook
from tests.settings_in_force import variables
from tests.shop import AS_OF

EXERCISE = settings.root / "exercise_06_monitoring"
DAGS = EXERCISE / "airflow_dags"
README = (EXERCISE / "README.md").read_text()
AIRFLOW = Path(sys.executable).with_name("airflow")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = AS_OF.replace(hour=0, minute=0)
CRON_LINE = re.compile(r"^((?:\S+ ){5})(.+)$")
PARSED = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r}, include_examples=False)
assert not bag.import_errors, bag.import_errors
for name in sorted(bag.dags):
    dag = bag.dags[name]
    (task,) = dag.tasks
    print(name, dag.timetable.expression, dag.catchup, dag.max_active_runs, task.retries)
"""


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as receiver:
        yield receiver


@pytest.fixture
def environment(shop: Path, shop_redis: RedisServer, hook: WebHook) -> dict[str, str]:
    """As small as cron's, and where the shop and the receiver are."""
    shop_redis.client().flushall()
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        **variables(
            data_dir=settings.data_dir,
            build_dir=settings.build_dir,
            redis_port=settings.redis_port,
            api_port=free_port(),
            slack_webhook_url=hook.url,
        ),
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def report(day: datetime) -> dict[str, object]:
    """What the report of a day tells machines."""
    file = settings.data_dir / "monitoring" / f"report_{day:%Y-%m-%d}.json"
    assert file.with_suffix(".html").exists()
    told: dict[str, object] = json.loads(file.read_text())
    return told


def amounts_times_a_hundred_since(moment: datetime) -> None:
    """What happens when dollars become cents."""
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
def test_the_dags_compare_and_check_as_of_the_end_of_their_interval(
    airflow: dict[str, str], hook: WebHook
) -> None:
    amounts_times_a_hundred_since(MIDNIGHT - 7 * DAY)
    run([str(AIRFLOW), "db", "migrate"], airflow)
    moment = AS_OF.isoformat()
    run([str(AIRFLOW), "dags", "test", "monitor_drift", moment], airflow)
    assert any("avg_transaction_amount" in text for text in hook.texts)
    drift = runs.latest("drift")
    assert drift is not None
    assert drift.as_of == MIDNIGHT
    run([str(AIRFLOW), "dags", "test", "monitor_quality", moment], airflow)
    told = report(MIDNIGHT)
    assert datetime.fromisoformat(str(told["drift_as_of"])) == MIDNIGHT
    assert datetime.fromisoformat(str(told["quality_as_of"])) == AS_OF.replace(minute=0)
    assert len(told["quality"]) == 5  # type: ignore[arg-type]


@pytest.mark.airflow
def test_the_dags_as_airflow_reads_them(airflow: dict[str, str]) -> None:
    parsed = run([sys.executable, "-c", PARSED.format(folder=str(DAGS))], airflow)
    assert parsed.splitlines()[-2:] == [
        "monitor_drift @daily False 1 2",
        "monitor_quality @hourly False 1 2",
    ]


def test_the_lines_of_the_crontab_work_from_any_folder(
    environment: dict[str, str], hook: WebHook, tmp_path: Path
) -> None:
    amounts_times_a_hundred_since(AS_OF - 7 * DAY)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(sys.prefix)
    assert 'sed "s|^LAB=.*|LAB=$PWD|" exercise_06_monitoring/crontab' in README
    crontab = run(["sed", f"s|^LAB=.*|LAB={checkout}|", str(EXERCISE / "crontab")], environment)
    lines = crontab.splitlines()
    jobs = [found.groups() for line in lines if (found := CRON_LINE.match(line)) and line[0] != "#"]
    assigned = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    periods = []
    for when, command in jobs:
        times = croniter(when, AS_OF)
        first, second = times.get_next(datetime), times.get_next(datetime)
        periods.append(second - first)
        run(["/bin/sh", "-c", command], environment | {"LAB": assigned["LAB"]})
    assert periods == [DAY, HOUR]
    assert assigned["CRON_TZ"] == "UTC"
    assert any("avg_transaction_amount" in text for text in hook.texts)
    told = report(AS_OF)
    assert told["drift_as_of"] == told["quality_as_of"] == AS_OF.astimezone(UTC).isoformat()


def test_a_gap_in_the_schedule_is_told(environment: dict[str, str], hook: WebHook) -> None:
    command = [sys.executable, "-m", "exercise_06_monitoring.production.scheduled", "quality"]
    run(command, environment | variables(as_of=AS_OF - 5 * HOUR))
    assert not any("missing" in text for text in hook.texts)
    run(command, environment | variables(as_of=AS_OF))
    assert any("4 scheduled runs missing" in text for text in hook.texts)


def test_the_script_alerts_reports_and_tells_when_it_is_over(
    environment: dict[str, str], hook: WebHook, shop: Path
) -> None:
    script = [sys.executable, str(EXERCISE / "feature_monitoring.py")]
    healthy = (shop / "user_stats.parquet").read_bytes()
    (experiment,) = re.findall(r'python -c "(import pandas.+)"', README)
    subprocess.run([sys.executable, "-c", experiment], cwd=shop.parent, check=True)
    run(script, environment)
    about = [text for text in hook.texts if "avg_transaction_amount" in text]
    assert len(about) == 1
    run(script, environment)
    assert hook.texts.count(about[0]) == 1, "told once"
    (shop / "user_stats.parquet").write_bytes(healthy)
    run(script, environment)
    assert "RECOVERED] drift: avg_transaction_amount" in hook.texts[-1]
    assert report(AS_OF)["open_alerts"] == []
