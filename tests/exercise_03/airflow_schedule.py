"""Run the hourly DAG by Airflow's own scheduler, and check each row of Redis: `make airflow`.

Six hours of backfill beside the schedule; an old run again; a copy of the DAG every two minutes,
which is paused for three; a Redis that is away between two tries. Airflow has a SQLite database
and LocalExecutor, on loopback.
"""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from exercise_03_materialize.materialize import validate_materialization
from lab.learn import utc_now
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import private_redis
from tests.settings_in_force import settings_in_force
from tests.shop import Size, open_shop, simulated

AIRFLOW = Path(sys.executable).with_name("airflow")
HOURLY, OFTEN = "materialize_features", "materialize_often"
COPIED = {HOURLY: OFTEN, "@hourly": "*/2 * * * *", "timedelta(minutes=2)": "timedelta(seconds=20)"}
HOUR, BACKFILL_HOURS, PAUSE_S, TIMEOUT_S = timedelta(hours=1), 6, 180, 1_800


@dataclass(frozen=True)
class Airflow:
    """An Airflow with its home, and the environment of its commands."""

    home: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        """Run a command of Airflow; return its output."""
        command = [str(AIRFLOW), *words]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        return done.stdout

    def states(self, dag: str, kind: str, since: str = "") -> list[Any]:
        """Return the state of each run of a kind that was created since then."""
        query = """SELECT state FROM dag_run WHERE dag_id = ? AND run_type = ? AND run_after > ?
        ORDER BY run_after"""
        return [state for (state,) in self._query(query, dag, kind, since)]

    def tries(self, dag: str, state: str) -> list[Any]:
        """Return the number of tries of each task in a state."""
        query = "SELECT try_number FROM task_instance WHERE dag_id = ? AND state = ?"
        return [number for (number,) in self._query(query, dag, state)]

    def _query(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.home / "airflow.db", timeout=30) as database:
            return database.execute(query, values).fetchall()


def airflow_in(home: Path) -> Airflow:
    """Create the database, and a folder with the DAGs of both exercises and the copy of one."""
    dags, port = home / "dags", free_port()
    dags.mkdir(parents=True)
    for dag in settings.root.glob("exercise_0*/airflow_dags/*.py"):
        (dags / dag.name).symlink_to(dag)
    text = (dags / f"{HOURLY}.py").read_text()
    for old, new in COPIED.items():
        text = text.replace(old, new)
    (dags / f"{OFTEN}.py").write_text(text)
    own = {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(settings.root),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }
    airflow = Airflow(home, os.environ | own)
    airflow.run("db", "migrate")
    airflow.run("dags", "reserialize")  # commands know the DAGs before the scheduler has read them
    return airflow


@contextmanager
def scheduling(airflow: Airflow) -> Iterator[None]:
    """Run all parts of Airflow until the block ends."""
    with (airflow.home / "standalone.log").open("w") as log:
        command = [str(AIRFLOW), "standalone"]
        process = subprocess.Popen(
            command,
            env=airflow.environment,
            cwd="/",
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        health = f"{airflow.environment['AIRFLOW__API__BASE_URL']}/api/v2/version"
        try:
            wait_until("Airflow answers", lambda: answers(health))  # a task that starts asks it
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def wait_until(what: str, condition: Callable[[], object]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + TIMEOUT_S, f"not within {TIMEOUT_S} s: {what}"
        time.sleep(1)
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)


def all_succeed(states: list[str], count: int = 1) -> bool:
    assert "failed" not in states, states
    return len(states) >= count and set(states) == {"success"}


def backfill_beside_the_schedule(airflow: Airflow) -> None:
    end = utc_now().replace(minute=0, second=0, microsecond=0) - HOUR
    first = end - BACKFILL_HOURS * HOUR
    period = ["--from-date", first.isoformat(), "--to-date", (end - HOUR).isoformat()]
    airflow.run("dags", "unpause", HOURLY)
    airflow.run("backfill", "create", "--dag-id", HOURLY, *period)
    states = airflow.states
    wait_until("scheduled run", lambda: all_succeed(states(HOURLY, "scheduled")))
    wait_until("backfill", lambda: all_succeed(states(HOURLY, "backfill"), BACKFILL_HOURS))
    assert validate_materialization()

    airflow.run("tasks", "clear", HOURLY, "-s", first.isoformat(), "-e", first.isoformat(), "-y")
    wait_until("old run again", lambda: 2 in airflow.tries(HOURLY, "success"))
    assert validate_materialization()


def a_pause_is_not_made_up(airflow: Airflow) -> None:
    airflow.run("dags", "unpause", OFTEN)
    wait_until("run of the copy", lambda: all_succeed(airflow.states(OFTEN, "scheduled")))
    airflow.run("dags", "pause", OFTEN)
    time.sleep(PAUSE_S)
    unpaused = utc_now().isoformat(sep=" ")
    before = len(airflow.states(OFTEN, "scheduled"))
    airflow.run("dags", "unpause", OFTEN)
    wait_until("run after it", lambda: all_succeed(airflow.states(OFTEN, "scheduled"), before + 1))
    missed = len(airflow.states(OFTEN, "scheduled")) - before
    assert missed - len(airflow.states(OFTEN, "scheduled", since=unpaused)) <= 1, (
        "the last one only"
    )


def main() -> None:
    with (
        TemporaryDirectory(prefix="airflow_") as name,
        private_redis(Path(name) / "redis") as redis,
    ):
        folder, now = Path(name), utc_now().replace(second=0, microsecond=0)
        shop = open_shop(folder / "shop", redis, simulated(folder / "raw", Size(as_of=now)))
        with settings_in_force(**shop.settings, stores="plugins"):
            airflow = airflow_in(folder / "airflow")
            with scheduling(airflow):
                backfill_beside_the_schedule(airflow)
                a_pause_is_not_made_up(airflow)
                redis.stop()
                wait_until("try without Redis", lambda: airflow.tries(OFTEN, "up_for_retry"))
                redis.start()
                wait_until("try with Redis", lambda: max(airflow.tries(OFTEN, "success")) > 1)
                assert validate_materialization()
            assert "No data found" in airflow.run("dags", "list-import-errors")


if __name__ == "__main__":
    main()
