"""Alerts on real receivers: sent once, repeated, resolved, and never lost."""

import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from apprise.plugins import pagerduty

from exercise_06_monitoring.alerts import Check, deliver, monitoring_folder
from exercise_06_monitoring.feature_monitoring import send_alert
from exercise_06_monitoring.state import AlertState, check_measured
from lab.errors import UserError
from lab.settings import settings
from lab.stack.ports import free_port
from tests.exercise_06.web_hook import SECRET, WebHook, web_hook
from tests.settings_in_force import PointSettings

ATTEMPTS = 3
RECEIVERS = ("SLACK_WEBHOOK_URL", "SMTP_HOST", "ALERT_EMAIL_TO", "PAGERDUTY_ROUTING_KEY")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with no alert and no receiver, and without pauses between attempts."""
    point_settings(data_dir=tmp_path)
    for name in RECEIVERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(deliver.retry, "sleep", lambda _: None)  # type: ignore[attr-defined]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHook]:
    with web_hook() as server:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", server.url)
        yield server


class Mailbox:
    """Mails that an SMTP server accepted."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, mail["subject"], mail.get_content()))
        return "250 OK"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SMTP_PORT", str(server.port))
    monkeypatch.setenv("ALERT_EMAIL_TO", "on-call@example.com, second@example.com")
    yield box
    server.stop()


@pytest.fixture
def pager(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHook]:
    """PagerDuty's address is a constant of apprise; here it names a local server."""
    with web_hook() as server:
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", server.url)
        monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "R0UTINGSECRET")
        yield server


def test_a_warning_is_posted_and_mailed_to_everyone(hook: WebHook, mailbox: Mailbox) -> None:
    assert send_alert("drift", "chargeback_rate", "PSI is 0.31 – naïve")
    (text,) = hook.texts
    assert text == "[WARNING] drift: chargeback_rate: PSI is 0.31 – naïve"
    assert {to for (to,), _, _ in mailbox.mails} == {"on-call@example.com", "second@example.com"}
    for _, subject, body in mailbox.mails:
        assert "chargeback_rate" in subject
        assert "PSI is 0.31 – naïve" in body


def test_the_severity_decides_who_is_notified(
    hook: WebHook, mailbox: Mailbox, pager: WebHook, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = []
    for feature, severity in (("a", "info"), ("b", "warning"), ("c", "critical")):
        send_alert("drift", feature, f"{feature} moved", severity=severity)
        counts.append((hook.requests, len(mailbox.mails), pager.requests))
    assert counts == [(0, 0, 0), (1, 2, 0), (2, 4, 1)]
    assert all(f"{feature} moved" in capsys.readouterr().out for feature in "a")


def test_an_unknown_severity_is_refused() -> None:
    with pytest.raises(UserError, match="there is no severity urgent"):
        send_alert("drift", "a", "it moved", severity="urgent")


@pytest.mark.parametrize("status", [302, 429, 500])
def test_a_receiver_that_fails_once_is_tried_again(status: int, hook: WebHook) -> None:
    hook.statuses = [status]
    assert send_alert("drift", "a", "it moved")
    assert (hook.requests, len(hook.posts)) == (2, 1)


def test_an_unavailable_receiver_is_notified_at_the_next_run(
    hook: WebHook, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.statuses = [503] * ATTEMPTS
    assert not send_alert("drift", "a", "it moved")
    assert "Slack: HTTPError; the next run sends it again" in capsys.readouterr().out
    assert send_alert("drift", "a", "it moved")
    assert len(hook.posts) == 1


def drift(feature: str, passed: bool | None, severity: str = "warning") -> Check:
    return Check("drift", feature, passed, "PSI 0.02" if passed else "PSI 0.41", severity)


def test_the_end_is_sent_once_and_to_the_same_receivers(hook: WebHook, pager: WebHook) -> None:
    state = AlertState()
    failed = [drift("a", False), drift("b", False), drift("c", False, "critical")]
    state.update(failed)
    for _ in range(2):
        ended = [drift("a", None), drift("b", True), drift("c", True, "critical")]
        state.update([*ended, drift("never open", True)])
    assert [text for text in hook.texts if "RESOLVED" in text] == [
        "[RESOLVED] drift: c: PSI 0.02",
        "[RESOLVED] drift: b: PSI 0.02",
    ], "critical ones first"
    trigger, resolve = pager.posts
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert [alert.feature for alert in state.open_alerts()] == ["a"]


def test_an_open_alert_has_the_newest_message(hook: WebHook) -> None:
    send_alert("drift", "a", "PSI 0.41")
    send_alert("drift", "a", "PSI 0.52")
    assert [alert.message for alert in AlertState().open_alerts()] == ["PSI 0.52"]


def test_an_end_that_was_not_delivered_is_sent_at_the_next_run(hook: WebHook) -> None:
    state = AlertState()
    state.update([drift("a", False)])
    hook.statuses = [503] * ATTEMPTS
    for _ in range(3):
        state.update([drift("a", True)])
    assert sum("RESOLVED" in text for text in hook.texts) == 1


@pytest.mark.parametrize("unmeasured", [[drift("a", None)], []], ids=["not measured", "no check"])
def test_an_open_alert_that_is_not_measured_stays_open_and_is_sent_once(
    hook: WebHook, unmeasured: list[Check]
) -> None:
    state = AlertState()
    hook.statuses = [503] * ATTEMPTS
    state.update([drift("a", False)])
    assert hook.posts == []
    for _ in range(3):
        state.update(unmeasured)
    assert hook.texts == ["[WARNING] drift: a: PSI 0.41"]
    assert len(state.open_alerts()) == 1


def test_a_critical_alert_that_became_a_warning_is_resolved_where_it_was_sent(
    hook: WebHook, pager: WebHook
) -> None:
    state = AlertState()
    for check in (drift("a", False, "critical"), drift("a", False), drift("a", True)):
        state.update([check])
    assert [post["event_action"] for post in pager.posts] == ["trigger", "resolve"]
    assert state.open_alerts() == []


def test_a_drift_that_goes_up_and_down_is_two_messages_and_one_end(hook: WebHook) -> None:
    """The alert keeps its worst severity, and is resolved once."""
    state = AlertState()
    severities = ["warning", "critical", "warning", "critical"] * 5
    for severity in severities:
        state.update([drift("a", False, severity)])
    assert [alert.severity for alert in state.open_alerts()] == ["critical"]
    state.update([drift("a", True)])
    assert [text.split("]")[0] for text in hook.texts] == ["[WARNING", "[CRITICAL", "[RESOLVED"]


def test_a_page_that_only_one_receiver_got_is_resolved_there(hook: WebHook, pager: WebHook) -> None:
    state = AlertState()
    hook.statuses = [503] * ATTEMPTS
    state.update([drift("a", False, "critical")])
    state.update([drift("a", False)])
    state.update([drift("a", True)])
    assert [post["event_action"] for post in pager.posts] == ["trigger", "trigger", "resolve"]
    assert len({post["dedup_key"] for post in pager.posts}) == 1


def measured(*checks: Check) -> list[Check]:
    return list(check_measured(list(checks)))


def test_checks_that_lose_their_values_fail_and_name_no_feature(hook: WebHook) -> None:
    state = AlertState()
    online = [Check("serving", f"users.{name}", True, "", "critical") for name in ("age", "rows")]
    flushed = [replace(check, passed=None) for check in online]
    assert [check.passed for check in measured(*flushed)] == [True], "they were never measured"
    for checks in (online, flushed, flushed, online):
        state.update([*checks, *measured(*checks)])
    lost, ended = hook.texts
    assert lost.startswith("[CRITICAL] unmeasured: serving: 2 checks that earlier runs measured")
    assert ended.startswith("[RESOLVED] unmeasured: serving")
    assert "users" not in lost


def test_what_a_failed_check_of_the_view_explains_is_not_sent_twice() -> None:
    keys = Check("data_quality", "users.key", True, "")
    stopped = Check("data_quality", "users.freshness", False, "no row for a day", "critical")
    measured(keys)
    assert all(check.passed for check in measured(stopped, replace(keys, passed=None)))
    assert not all(check.passed for check in measured(replace(keys, passed=None)))


def test_an_unchanged_drift_is_sent_once_and_a_new_check_of_it_as_well(
    hook: WebHook,
) -> None:
    for kind in ("drift", "drift", "data_quality"):
        AlertState().update([Check(kind, "a", False, "it moved")])
    assert [text.split(":")[0] for text in hook.texts] == [
        "[WARNING] drift",
        "[WARNING] data_quality",
    ]


def test_many_processes_at_once_send_each_alert(hook: WebHook) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: send_alert("drift", f"feature_{n}", "it moved"), range(12)))
    sent = [int(text.split("feature_")[1].split(":")[0]) for text in hook.texts]
    assert sorted(sent) == list(range(12))


@pytest.mark.parametrize("status", [200, 403, 500, None])
def test_no_output_and_no_file_has_a_secret(
    status: int | None,
    hook: WebHook,
    pager: WebHook,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for server in (hook, pager):
        server.statuses = [status] * 9 if status else []
    if status is None:
        nowhere = f"http://127.0.0.1:{free_port()}/{SECRET}"
        monkeypatch.setenv("SLACK_WEBHOOK_URL", nowhere)
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", nowhere)
    send_alert("serving", "redis", "it is down", severity="critical")
    printed = capsys.readouterr()
    stored = (settings.data_dir / "monitoring" / "state.db").read_bytes().decode("latin-1")
    everything = printed.out + printed.err + caplog.text + stored
    assert "redis" in everything
    assert "SECRET" not in everything


def open_alerts_of(content: bytes) -> str:
    """Return the error of a database that has this content."""
    (monitoring_folder() / "state.db").write_bytes(content)
    with pytest.raises(UserError) as refused:
        AlertState().open_alerts()
    return str(refused.value)


def test_a_database_that_cannot_be_used_is_one_sentence_with_the_way_out(tmp_path: Path) -> None:
    AlertState().open_alerts()
    whole = (monitoring_folder() / "state.db").read_bytes()
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE open_alerts (id INTEGER)")
    damaged = whole[:100] + bytes(len(whole) - 100)
    for content in (b"not a database", damaged, foreign.read_bytes()):
        message = open_alerts_of(content)
        assert "state.db cannot be used: " in message
        assert "if it is damaged: mv " in message


def test_a_full_disk_is_no_damage_and_silences_no_alert(
    hook: WebHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def full(*words: Any, **options: Any) -> sqlite3.Connection:
        database = connect(*words, **options)
        database.execute("PRAGMA max_page_count = 1")
        return database

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.raises(UserError, match=r"database or disk is full\n  next: df -h"):
        send_alert("monitoring", "run", "it ended" * 1_000)
    assert len(hook.texts) == 1
