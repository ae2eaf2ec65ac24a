"""Alerts on real receivers: told once, told again, told to be over, and never lost."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from apprise.plugins import pagerduty
from pydantic import SecretStr

from exercise_06_monitoring.production.__main__ import send_alert
from exercise_06_monitoring.production.alerts import announce as announcing
from exercise_06_monitoring.production.alerts.announce import announce
from exercise_06_monitoring.production.alerts.ledger import open_notices, pending
from exercise_06_monitoring.production.alerts.notice import Alert, Severity
from lab.errors import UserError
from lab.settings import settings, utc_now
from lab.stack.ports import free_port
from tests.exercise_06.web_hook import SECRET, WebHook, web_hook
from tests.settings_in_force import PointSettings

RECEIVERS = ("slack_webhook_url", "smtp_host", "alert_email_to", "pagerduty_routing_key")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, point_settings: PointSettings) -> None:
    """An empty memory, no receiver, and no pause between attempts."""
    point_settings(data_dir=tmp_path, alert_backoff_s=0.0, **dict.fromkeys(RECEIVERS))


@pytest.fixture
def hook(point_settings: PointSettings) -> Iterator[WebHook]:
    with web_hook() as server:
        point_settings(slack_webhook_url=SecretStr(server.url))
        yield server


class Mailbox:
    """What an SMTP server took."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, mail["subject"], mail.get_content()))
        return "250 OK"


@pytest.fixture
def mailbox(point_settings: PointSettings) -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    point_settings(
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        alert_email_to="on-call@example.com, second@example.com",
    )
    yield box
    server.stop()


@pytest.fixture
def pager(monkeypatch: pytest.MonkeyPatch, point_settings: PointSettings) -> Iterator[WebHook]:
    """PagerDuty's address is a constant of the library; here it leads to a server of ours."""
    with web_hook() as server:
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", server.url)
        point_settings(pagerduty_routing_key=SecretStr("R0UTINGSECRET"))
        yield server


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    monkeypatch.setattr(announcing, "utc_now", lambda: utc_now() + by)


def test_a_warning_is_posted_and_mailed_to_everyone(hook: WebHook, mailbox: Mailbox) -> None:
    assert send_alert("drift", "chargeback_rate", "PSI is 0.31 – naïve")
    (text,) = hook.texts
    assert "WARNING" in text
    assert "chargeback_rate" in text
    assert "PSI is 0.31 – naïve" in text
    assert {to for (to,), _, _ in mailbox.mails} == {"on-call@example.com", "second@example.com"}
    for _, subject, body in mailbox.mails:
        assert "chargeback_rate" in subject
        assert "PSI is 0.31 – naïve" in body


def test_urgency_decides_who_hears(
    hook: WebHook, mailbox: Mailbox, pager: WebHook, capsys: pytest.CaptureFixture[str]
) -> None:
    send_alert("drift", "a", "it moves", severity="info")
    assert (hook.requests, mailbox.mails, pager.requests) == (0, [], 0)
    send_alert("drift", "b", "it moved", severity="warning")
    assert (hook.requests, len(mailbox.mails), pager.requests) == (1, 2, 0)
    send_alert("serving", "c", "it is down", severity="critical")
    assert (hook.requests, len(mailbox.mails), pager.requests) == (2, 4, 1)
    printed = capsys.readouterr().out
    assert all(said in printed for said in ("it moves", "it moved", "it is down"))


def test_a_severity_that_is_none_is_a_sentence() -> None:
    with pytest.raises(UserError, match="there is no severity urgent"):
        send_alert("drift", "a", "it moved", severity="urgent")


def test_a_receiver_that_fails_once_is_asked_again(hook: WebHook) -> None:
    hook.statuses = [500]
    send_alert("drift", "a", "it moved")
    assert (hook.requests, len(hook.posts)) == (2, 1)
    assert not pending()


def test_a_receiver_that_is_away_gets_all_at_the_next_run(
    hook: WebHook, mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.statuses = [503] * settings.alert_attempts
    send_alert("drift", "a", "it moved")
    assert "not delivered: slack: HTTP 503" in capsys.readouterr().out
    assert [item.channel for item in pending()] == ["slack"]
    assert len(mailbox.mails) == 2, "the other receiver heard of it at once"
    announce([])
    assert "it moved" in hook.texts[0]
    assert not pending()


def test_a_receiver_that_is_away_costs_one_round_of_attempts(hook: WebHook) -> None:
    hook.statuses = [503] * 100
    announce([Alert("drift", name, "it moved") for name in "abcdef"])
    assert hook.requests == settings.alert_attempts
    hook.statuses = []
    announce([])
    assert len(hook.posts) == 6


def test_a_notice_that_is_refused_holds_up_no_other(hook: WebHook) -> None:
    hook.statuses = [400]
    announce([Alert("drift", name, f"{name} moved") for name in "ab"])
    assert hook.requests == 2, "what the receiver will never take is not tried again and again"
    assert "b moved" in hook.texts[0]
    assert [item.notice.alert.feature for item in pending()] == ["a"]


def test_nobody_listens_at_the_address(
    point_settings: PointSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"http://127.0.0.1:{free_port()}/services/{SECRET}"
    point_settings(slack_webhook_url=SecretStr(address))
    send_alert("drift", "a", "it moved")
    assert "not delivered: slack: ConnectionError" in capsys.readouterr().out
    assert len(pending()) == 1


def test_the_same_again_is_told_after_the_cool_down(
    hook: WebHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send_alert("drift", "a", "it moved")
    assert not send_alert("drift", "a", "it moved further")
    later(monkeypatch, settings.alert_cooldown)
    assert send_alert("drift", "a", "it moved even further")
    assert len(hook.posts) == 2
    (notice,) = open_notices()
    assert notice.since < utc_now().isoformat(), "it is one alert, and old"


def test_what_gets_worse_is_told_at_once(hook: WebHook) -> None:
    send_alert("data_quality", "a", "5 % nulls")
    send_alert("data_quality", "a", "nothing but nulls", severity="critical")
    send_alert("data_quality", "a", "5 % nulls again")
    assert [("CRITICAL" in text) for text in hook.texts] == [False, True]


def test_another_feature_or_type_is_another_alert(hook: WebHook) -> None:
    for type_, feature in (("drift", "a"), ("drift", "b"), ("data_quality", "a")):
        assert send_alert(type_, feature, "it is wrong")
    assert len(hook.posts) == 3


def test_its_end_is_told_once_and_to_those_who_heard(hook: WebHook) -> None:
    wrong = [Alert("drift", "a", "it moved"), Alert("drift", "b", "it moved")]
    announce([*wrong, Alert("serving", "c", "slow")], looked_at={"drift", "serving"})
    announce(wrong[:1], looked_at={"drift"})
    announce(wrong[:1], looked_at={"drift"})
    assert sum("RECOVERED" in text for text in hook.texts) == 1
    assert "RECOVERED] drift: b" in hook.texts[-1]
    assert {notice.alert.feature for notice in open_notices()} == {"a", "c"}


def test_an_incident_is_resolved_under_its_own_key(pager: WebHook) -> None:
    broken = Alert("serving", "redis", "it does not answer", Severity.CRITICAL)
    announce([broken], looked_at={"serving"})
    announce([], looked_at={"serving"})
    trigger, resolve = pager.posts
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["payload"]["severity"] == "critical"
    assert "redis" in trigger["payload"]["summary"]


def test_many_at_once_are_each_told_once(hook: WebHook) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: send_alert("drift", f"feature_{n}", "it moved"), range(12)))
    told = [text.split("feature_")[1].split("*")[0] for text in hook.texts]
    assert sorted(map(int, told)) == list(range(12))


@pytest.mark.parametrize("status", [200, 403, 500, None])
def test_no_log_and_no_error_has_a_secret(
    status: int | None,
    hook: WebHook,
    pager: WebHook,
    point_settings: PointSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for server in (hook, pager):
        server.statuses = [status] * 9 if status else []
    if status is None:
        nowhere = f"http://127.0.0.1:{free_port()}/{SECRET}"
        point_settings(slack_webhook_url=SecretStr(nowhere))
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", nowhere)
    point_settings(
        smtp_host="127.0.0.1",
        smtp_port=free_port(),
        smtp_user="someone",
        smtp_password=SecretStr("MAILSECRET"),
        alert_email_to="on-call@example.com",
    )
    send_alert("serving", "redis", "it is down", severity="critical")
    printed = capsys.readouterr()
    kept = (settings.data_dir / "monitoring" / "monitoring.db").read_bytes().decode("latin-1")
    everything = printed.out + printed.err + caplog.text + kept + repr(settings)
    assert "redis" in everything
    assert "SECRET" not in everything
