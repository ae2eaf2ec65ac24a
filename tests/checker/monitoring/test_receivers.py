"""The webhook answers as Slack's does, and a flood or a broken request costs nothing."""

import socket
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from checker.monitoring import receivers as room
from checker.monitoring.alerts import MONITORED, alarms
from checker.monitoring.receivers import Receivers, receivers


def post(received: Receivers, **content: Any) -> tuple[int, str]:
    reply = requests.post(received.environment["SLACK_WEBHOOK_URL"], timeout=5, **content)
    return reply.status_code, reply.text


BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "drift\nmean\\_amount"}}]


@pytest.mark.parametrize(
    "content",
    [
        {"json": {"text": "drift\nmean_amount"}},
        {"json": {"blocks": BLOCKS}},
        {"json": {"attachments": [{"text": "drift in mean_amount"}]}},
        {"data": urlencode({"payload": '{"text": "drift in mean_amount"}'})},
    ],
    ids=["text", "blocks", "attachments", "form"],
)
def test_a_payload_that_slack_shows_arrives(content: Any) -> None:
    with receivers() as received:
        assert post(received, **content) == (200, "ok")
    (alarm,) = alarms(received.arrived, {"mean": "mean_amount"})
    assert alarm.features == {"mean"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"json": {"message": "mean_amount"}}, "no_text"),
        ({"json": {"text": ""}}, "no_text"),
        ({"json": "mean_amount"}, "invalid_payload"),
        ({"data": "mean_amount"}, "invalid_payload"),
        ({"data": b"[" * 100_000}, "invalid_payload"),
    ],
)
def test_a_payload_that_slack_rejects_does_not_arrive(content: Any, error: str) -> None:
    with receivers() as received:
        assert post(received, **content) == (400, error)
    assert received.arrived == []
    assert received.rejected == [error]


def test_the_first_selected_post_is_refused_once() -> None:
    with receivers(lambda text: "drift" in text) as received:
        texts = ["summary", "drift", "drift"]
        assert [post(received, json={"text": text})[0] for text in texts] == [200, 500, 200]
    assert received.posts == ["summary", "drift"]


def test_a_flood_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_STORED", 10_000)
    with receivers() as received:
        statuses = [post(received, json={"text": "x" * 2_000})[0] for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_a_broken_request_is_answered() -> None:
    with receivers() as received:
        address = urlsplit(received.environment["SLACK_WEBHOOK_URL"])
        with socket.create_connection((address.hostname, address.port)):
            connection = HTTPConnection(str(address.hostname), address.port, timeout=5)
            connection.putrequest("POST", address.path)
            connection.putheader("Content-Length", "-5")
            connection.endheaders()
            assert connection.getresponse().status == 400
            connection.close()


def test_a_summary_is_no_alarm() -> None:
    names = {name: name for name in (*MONITORED, "refund_rate")}
    texts = [" ".join(names), "all is well", "chargeback_rate"]
    assert [alarm.text for alarm in alarms(texts, names)] == ["chargeback_rate"]
