"""Run the pipeline under load with Prometheus and Alertmanager, without Docker: make observability.

Every expression of the dashboard has to return data that change, and an API that was stopped has to
reach the receiver `on_call`. The values are drawn into docs/images/observability_*.svg. Grafana
itself is not started. It needs the data of `lab run 3` and the model of `lab run 4`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache
from math import isnan
from pathlib import Path
from typing import Any

import requests

from lab.learn import UserError, as_of, run_script, settings
from lab.settings import ROOT
from lab.stack.ports import free_port
from scripts.panel_pictures import THEMES, Panel, Series, draw

OBSERVABILITY = ROOT / "observability"
DASHBOARD = OBSERVABILITY / "grafana" / "dashboards" / "feature_store.json"
PRODUCTION = ROOT / "exercise_06_monitoring" / "production"
LOAD_S, LONGEST_S, RATE, STEP_S, TIMEOUT_S = 90, 900, 20, 5, 180
LOG = settings.build_dir / "observability.log"
INVALID: dict[str, Any] = {
    "user_id": "user_1",
    "merchant_id": "merchant_1",
    "transaction_amount": -1,
}


@cache
def port_here(configured: int) -> int:
    """Return the port of this run for one of the configuration, which may be in use."""
    return settings.api_port if configured == 8000 else free_port()


def at_free_ports(text: str) -> str:
    """Replace the ports of a configuration by those of this run, and its intervals by a second."""
    text = re.sub(r"(_interval: )(15s|30s)", r"\g<1>1s", text)
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(port_here(int(port[0]))), text)


@contextmanager
def running(*command: str, folder: Path = ROOT, **variables: str) -> Iterator[None]:
    """Run a command until the block ends; its output goes to LOG."""
    with LOG.open("a") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | variables, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def module(name: str, *words: str) -> tuple[str, ...]:
    """Return the command that runs a module of the exercises."""
    return (sys.executable, "-m", name, *words)


def debian(name: str) -> str:
    """Return a program by its name in Debian; UserError if it is missing."""
    if found := shutil.which(name):
        return found
    command = "promtool" if name == "prometheus" else name  # of the same package
    raise UserError(f"there is no {name}", f"scripts/system-packages {command}")


def wait_until(condition: Callable[[], bool], problem: str) -> None:
    """Wait for a condition; UserError after TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(problem, f"less {LOG}")
        time.sleep(0.5)


def answers(port: int, path: str) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def watching(folder: Path) -> Iterator[None]:
    """Run Prometheus, Alertmanager and both exporters, with the configuration of the profile."""
    for file in (PRODUCTION / "prometheus.yml", OBSERVABILITY / "alertmanager.yml"):
        (folder / file.name).write_text(at_free_ports(file.read_text()))
    shutil.copy(PRODUCTION / "monitoring.rules.yml", folder)
    listen = "--web.listen-address=127.0.0.1:{}".format
    textfiles = settings.data_dir / "monitoring"
    shutil.rmtree(textfiles, ignore_errors=True)  # a run before the last one publishes nothing
    textfiles.mkdir()
    programs = [
        (
            *(debian("prometheus"), "--config.file=prometheus.yml"),
            *("--storage.tsdb.path=metrics", listen(port_here(9090))),
        ),
        (
            *(debian("prometheus-alertmanager"), "--config.file=alertmanager.yml"),
            *("--storage.path=alerts", "--cluster.listen-address=", listen(port_here(9093))),
        ),
        (
            *(debian("prometheus-redis-exporter"), listen(port_here(9121))),
            f"--redis.addr=redis://{settings.redis_address}",
            f"--script={OBSERVABILITY / 'redis_metrics.lua'}",
        ),
        (
            *(debian("prometheus-node-exporter"), "--collector.disable-defaults"),
            *("--collector.textfile", f"--collector.textfile.directory={textfiles}"),
            listen(port_here(9100)),
        ),
    ]
    with ExitStack() as stack:
        for command in programs:
            stack.enter_context(running(*command, folder=folder))
        wait_until(lambda: answers(port_here(9090), "/-/ready"), "Prometheus does not start")
        yield


def put_under_load() -> None:
    """Send predictions during two runs of the monitor and a materialization; five are invalid."""
    requests_ = str(LONGEST_S * RATE)
    load = module("exercise_04_serving.load_test", "--requests", requests_, "--rate", str(RATE))
    end = time.monotonic() + LOAD_S
    with running(*load):
        time.sleep(LOAD_S / 4)
        for _ in range(5):
            requests.post(f"{settings.api_url}/predict", json=INVALID, timeout=5)
        monitor(timedelta(days=-14))
        finish(module("exercise_03_materialize.materialize"), timedelta())
        monitor(timedelta())
        time.sleep(max(0, end - time.monotonic()))


def monitor(offset: timedelta) -> None:
    """Run exercise 6, as of an offset to the data's as-of time."""
    finish(module("exercise_06_monitoring.production", "metrics_exposition"), offset)


def finish(command: tuple[str, ...], offset: timedelta) -> None:
    environment = os.environ | {"LAB_AS_OF": (as_of() + offset).isoformat()}
    with LOG.open("a") as log:
        subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=True)


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, without the titles of its rows."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def query(target: dict[str, str], start: float, end: float) -> list[Series]:
    """Return the series of an expression from Prometheus."""
    reply = requests.get(
        f"http://127.0.0.1:{port_here(9090)}/api/v1/query_range",
        params={"query": target["expr"], "start": str(start), "end": str(end), "step": str(STEP_S)},
        timeout=10,
    )
    reply.raise_for_status()
    found = []
    for series in reply.json()["data"]["result"]:
        legend = target["legendFormat"]
        for name, value in series["metric"].items():
            legend = legend.replace(f"{{{{{name}}}}}", value)
        seconds, values = zip(*series["values"], strict=True)
        found.append((legend, [at - start for at in seconds], [float(v) for v in values]))
    return found


def check_panels(start: float, end: float) -> list[Panel]:
    """Return the series of each panel; UserError if an expression has none that changes."""
    drawn: list[Panel] = []
    constant = []
    for panel in panels():
        drawn.append(Panel(panel["title"], panel["fieldConfig"]["defaults"]["unit"]))
        for target in panel["targets"]:
            found = query(target, start, end)
            drawn[-1].series.extend(found)
            most = max(
                (len({v for v in values if not isnan(v)}) for *_, values in found), default=0
            )
            print(f"  {len(found)} series, up to {most} values: {target['expr']}")
            if most < 2:
                constant.append(target["expr"])
    if constant:
        raise UserError(f"no data that change: {'; '.join(constant)}", f"less {LOG}")
    return drawn


def alert_arrived() -> bool:
    """Return whether Alertmanager routes the alert of a stopped API to the receiver on_call."""
    alerts = requests.get(f"http://127.0.0.1:{port_here(9093)}/api/v2/alerts", timeout=5).json()
    return any(
        alert["labels"]["alertname"] == "ServingDown"
        and "on_call" in {receiver["name"] for receiver in alert["receivers"]}
        for alert in alerts
    )


def main() -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    api = module("exercise_04_serving.production.server", "server", "middleware", "health")
    job = module("exercise_05_streaming.flink_streaming_features")
    events = module("exercise_05_streaming.produce_events", "--rate", str(RATE))
    with tempfile.TemporaryDirectory() as folder, watching(Path(folder)):
        with running(*api), running(*job):
            wait_until(lambda: answers(settings.api_port, "/health"), "the API does not start")
            start = time.time()
            print(f"Load: {RATE} predictions and {RATE} payments a second")
            with running(*events):
                put_under_load()
        monitor(timedelta(hours=1))  # the API is gone, which opens an alert
        time.sleep(STEP_S)
        drawn = check_panels(start, time.time())
        for theme in THEMES:
            draw(drawn, theme)
        wait_until(alert_arrived, "the alert of the stopped API did not reach on_call")
    print("All expressions change under load; the alert of the stopped API reached on_call")


if __name__ == "__main__":
    run_script(main)
