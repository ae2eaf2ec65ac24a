"""Run the hourly DAG by Airflow's own scheduler, and compare Redis: `make airflow`.

Six hours of backfill next to the schedule; an old run again; a copy of the DAG every two minutes
that is paused for three; a Redis that is unavailable between two tries. After each, every row in
Redis equals the offline store. Airflow has a SQLite database and LocalExecutor, on loopback.
"""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from exercise_03_materialize.materialize import validate_materialization
from lab.learn import utc_now
from lab.settings import settings
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer, private_redis
from tests.settings_in_force import settings_in_force
from tests.shop import Size, open_shop, simulated

AIRFLOW = Path(sys.executable).with_name("airflow")
DAG = settings.root / "exercise_03_materialize" / "airflow_dags" / "materialize_features.py"
HOURLY, OFTEN = "materialize_features", "materialize_often"
COPIED = {HOURLY: OFTEN, "@hourly": "*/2 * * * *", "timedelta(minutes=2)": "timedelta(seconds=5)"}
HOUR, BACKFILL_HOURS, PAUSE_S, TIMEOUT_S = timedelta(hours=1), 6, 180, 400
SERVICES = ("api-server", "scheduler", "dag-processor")


class Airflow:
    """An Airflow with the DAG and its copy, which start unpaused."""

    def __init__(self, home: Path) -> None:
        (home / "dags").mkdir(parents=True)
        (home / "dags" / DAG.name).symlink_to(DAG)
        text = DAG.read_text()
        for old, new in COPIED.items():
            text = text.replace(old, new)
        (home / "dags" / f"{OFTEN}.py").write_text(text)
        self.home, self.url = home, f"http://127.0.0.1:{free_port()}"
        own = {
            "AIRFLOW_HOME": str(home),
            "PYTHONPATH": str(settings.root),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.url.rsplit(":")[-1],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }
        self.environment = os.environ | own
        self.run("db", "migrate")
        self.query("PRAGMA journal_mode = WAL")  # else a command and the scheduler lock each other
        self.run("dags", "reserialize")  # `backfill create` needs them

    def run(self, *words: str) -> None:
        """Run a command."""
        with (self.home / "commands.log").open("a") as log:
            command = [str(AIRFLOW), *words]
            subprocess.run(command, env=self.environment, stdout=log, stderr=log, check=True)

    def query(self, text: str, *values: str) -> list[tuple[Any, ...]]:
        """Query Airflow's database."""
        with closing(sqlite3.connect(self.home / "airflow.db", timeout=60)) as database:
            return database.execute(text, values).fetchall()

    def runs(self, dag: str, kind: str = "scheduled") -> list[Any]:
        """Return the state of each run of a kind."""
        query = "SELECT state FROM dag_run WHERE dag_id = ? AND run_type = ?"
        return [state for (state,) in self.query(query, dag, kind)]

    def tries(self, dag: str, state: str) -> list[Any]:
        """Return the number of tries of each task in a state."""
        query = "SELECT try_number FROM task_instance WHERE dag_id = ? AND state = ?"
        return [number for (number,) in self.query(query, dag, state)]

    @contextmanager
    def scheduling(self) -> Iterator[None]:
        """Run the services until the block ends."""
        running = []
        try:
            for name in SERVICES:
                with (self.home / f"{name}.log").open("w") as log:
                    options: dict[str, Any] = {"stdout": log, "stderr": log}
                    command = [str(AIRFLOW), name]
                    options |= {"env": self.environment, "start_new_session": True}
                    running.append(subprocess.Popen(command, **options))
                wait_until("the API answers", self._answers)
            yield
        finally:
            for process in reversed(running):  # a task that ends needs the API
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=60)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/v2/version", timeout=5).ok
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


def pause(airflow: Airflow) -> float:
    """Pause the copy after its first run; return when."""
    wait_until("run of the copy", lambda: all_succeed(airflow.runs(OFTEN)))
    airflow.run("dags", "pause", OFTEN)
    return time.monotonic()


def check_backfill(airflow: Airflow, first: str) -> None:
    """Wait for the backfill and the schedule, then repeat the first hour."""
    wait_until("scheduled run", lambda: all_succeed(airflow.runs(HOURLY)))
    wait_until("backfill", lambda: all_succeed(airflow.runs(HOURLY, "backfill"), BACKFILL_HOURS))
    assert validate_materialization()
    airflow.run("tasks", "clear", HOURLY, "-s", first, "-e", first, "-y")
    wait_until("old run again", lambda: 2 in airflow.tries(HOURLY, "success"))
    assert validate_materialization()


def check_pause_and_retry(airflow: Airflow, redis: RedisServer, paused: float) -> None:
    """End the pause while Redis is unavailable: one run, which ends when Redis is back."""
    before = len(airflow.runs(OFTEN))
    wait_until("end of the pause", lambda: time.monotonic() > paused + PAUSE_S)
    assert len(airflow.runs(OFTEN)) == before
    redis.stop()
    airflow.run("dags", "unpause", OFTEN)
    wait_until("try without Redis", lambda: airflow.tries(OFTEN, "up_for_retry"))
    redis.start()
    wait_until("try with Redis", lambda: max(airflow.tries(OFTEN, "success")) > 1)
    assert len(airflow.runs(OFTEN)) <= before + 2, "of the missed runs, the last one only"
    assert validate_materialization()


def main() -> None:
    with (
        TemporaryDirectory(prefix="airflow_") as name,
        private_redis(Path(name) / "redis") as redis,
    ):
        folder, now = Path(name), utc_now().replace(second=0, microsecond=0)
        shop = open_shop(folder / "shop", redis, simulated(folder / "raw", Size(as_of=now)))
        end = now.replace(minute=0) - 2 * HOUR  # the hour before is the schedule's
        first = (end - (BACKFILL_HOURS - 1) * HOUR).isoformat()
        with settings_in_force(**shop.settings):
            airflow = Airflow(folder / "airflow")
            period = ["--from-date", first, "--to-date", end.isoformat()]
            airflow.run("backfill", "create", "--dag-id", HOURLY, *period)
            with airflow.scheduling():
                paused = pause(airflow)
                check_backfill(airflow, first)
                check_pause_and_retry(airflow, redis, paused)


if __name__ == "__main__":
    main()
