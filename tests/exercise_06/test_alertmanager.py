"""Alerts in a real Alertmanager: grouped, confirmed, resolved, and delivered after an outage."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from exercise_06_monitoring.alerts import Check, monitoring_folder
from exercise_06_monitoring.production.alertmanager import Alertmanager
from exercise_06_monitoring.state import check_measured
from lab.learn import UserError, utc_now
from lab.stack.ports import free_port
from tests.exercise_06.web_hook import WebHook, web_hook
from tests.settings_in_force import PointSettings

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
CONFIGURATION = """
route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 1s}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}"}}]}}]
"""
WITH_ON_CALL = """
route:
  receiver: team
  group_wait: 0s
  routes: [{{receiver: on_call, matchers: [severity="critical"]}}]
receivers:
  - {{name: team}}
  - {{name: on_call, webhook_configs: [{{url: "{url}"}}]}}
"""
TIMEOUT_S = 20
needs_alertmanager = pytest.mark.skipif(
    PROGRAM is None, reason="no alertmanager: scripts/system-packages prometheus-alertmanager"
)
FEATURES = [f"feature_{number}" for number in range(30)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, point_settings: PointSettings) -> None:
    point_settings(data_dir=tmp_path)


def checks(passed: bool | None) -> list[Check]:
    return [Check("drift", name, passed, "PSI 0.41") for name in FEATURES]


@contextmanager
def running(
    hook: WebHook, folder: Path, port: int, configuration: str = CONFIGURATION
) -> Iterator[None]:
    """Run Alertmanager until the block ends."""
    file = folder / "alertmanager.yml"
    file.write_text(configuration.format(url=hook.url))
    command = [
        str(PROGRAM),
        f"--config.file={file}",
        f"--storage.path={folder / 'state'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: is_ready(port))
            yield
        finally:
            process.terminate()
            process.wait()


def is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


def wait_until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.05)


def statuses(hook: WebHook) -> list[tuple[str, int]]:
    """Return the state of each group that was sent, and the number of its alerts."""
    return [(post["status"], len(post["alerts"])) for post in hook.posts]


def ends(port: int) -> list[str]:
    """Return when each open alert ends by itself."""
    alerts = requests.get(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=5).json()
    return [alert["endsAt"] for alert in alerts]


@needs_alertmanager
def test_thirty_alerts_are_one_message_and_so_is_their_end(tmp_path: Path) -> None:
    with web_hook() as hook:
        port = free_port()
        state = Alertmanager(f"http://127.0.0.1:{port}")
        with running(hook, tmp_path, port):
            for _ in range(2):  # the second run confirms
                state.update(checks(False))
            wait_until(lambda: ("firing", 30) in statuses(hook))
            assert {alert.feature for alert in state.open_alerts()} == set(FEATURES)
            before = ends(port)
            state.update(checks(None)[1:])
            assert len(ends(port)) == 30, "an alert that was not measured stays open"
            assert max(before) < min(ends(port)), "this run has confirmed it"
            several_runs = utc_now() + timedelta(hours=12)
            assert datetime.fromisoformat(min(before)) > several_runs, "a dead job ends nothing"
            for _ in range(2):
                assert len(state.open_alerts()) == 30, "one clean run ends nothing"
                state.update([*checks(True), Check("drift", "never open", True, "")])
            wait_until(lambda: ("resolved", 30) in statuses(hook))
            assert state.open_alerts() == []
        assert len(hook.posts) <= 4, statuses(hook)


@needs_alertmanager
def test_a_critical_alert_reaches_the_receiver_on_call(tmp_path: Path) -> None:
    """So does its end, when it becomes a warning; a warning is not sent to this receiver."""
    with web_hook() as hook:
        port = free_port()
        state = Alertmanager(f"http://127.0.0.1:{port}")
        with running(hook, tmp_path, port, WITH_ON_CALL):
            others = checks(False)[1:]
            for severity in ("critical", "warning"):
                state.update([*others, Check("drift", "a", False, "moved", severity)])
                wait_until(lambda: len(state.open_alerts()) == 30)
                if severity == "critical":
                    wait_until(lambda: hook.posts)
            assert [alert.severity for alert in state.open_alerts()] == ["warning"] * 30
        (post,) = hook.posts
        assert [alert["labels"]["feature"] for alert in post["alerts"]] == ["a"]


@needs_alertmanager
def test_a_value_at_the_limit_is_one_message(tmp_path: Path) -> None:
    with web_hook() as hook:
        port = free_port()
        state = Alertmanager(f"http://127.0.0.1:{port}")
        with running(hook, tmp_path, port):
            for passed in (False, True, False, True, False, True, None, False):
                state.update(checks(passed)[:1])
                assert len(state.open_alerts()) == 1
            wait_until(lambda: ("firing", 1) in statuses(hook))
            for passed in (True, None, True):
                assert len(state.open_alerts()) == 1
                state.update(checks(passed)[:1])
            wait_until(lambda: ("resolved", 1) in statuses(hook))
        assert statuses(hook) == [("firing", 1), ("resolved", 1)]


def test_what_is_lost_later_is_an_alert_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open alert for all lost measurements of a type would hide it."""
    posts: list[str] = []

    def post(_: Alertmanager, alerts: list[dict[str, Any]]) -> bool:
        posts.extend(alert["labels"]["feature"] for alert in alerts)
        return True

    monkeypatch.setattr(Alertmanager, "_post", post)
    state, names = Alertmanager(""), ["users.age", "users.rate", "shops.age"]
    found = []
    for lost in ([], ["users.age"], ["users.age", "shops.age"], [*names], ["shops.age"], []):
        run = [Check("serving", name, None if name in lost else True, "") for name in names]
        for _ in range(2):  # the second run confirms an end
            state.update([*run, *check_measured(run, state.group)])
        found.append([alert.feature for alert in state.open_alerts()])
    users, both = ["serving.users"], ["serving.shops", "serving.users"]
    assert [sorted(names) for names in found] == [[], users, both, both, ["serving.shops"], []]
    assert set(posts) == {*both}


def test_a_full_disk_is_one_sentence_and_leaves_the_open_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Alertmanager, "_post", lambda *_: True)
    state = Alertmanager("")
    state.update(checks(False))
    (monitoring_folder() / "alertmanager.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        state.update(checks(None))
    assert len(state.open_alerts()) == 30


@needs_alertmanager
def test_a_run_during_an_outage_is_made_up_by_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_hook() as hook:
        port = free_port()
        state = Alertmanager(f"http://127.0.0.1:{port}")
        state.update(checks(False)[:1])
        assert len(state.open_alerts()) == 1
        assert "the next run posts all again" in capsys.readouterr().out
        with running(hook, tmp_path, port):
            state.update(checks(None)[:1])
            wait_until(lambda: ("firing", 1) in statuses(hook))
        for _ in range(2):
            state.update(checks(True)[:1])
        with running(hook, tmp_path, port):  # it has forgotten its alerts
            assert len(state.open_alerts()) == 1, "the end was not delivered"
            state.update(checks(True)[:1])
        assert state.open_alerts() == []
