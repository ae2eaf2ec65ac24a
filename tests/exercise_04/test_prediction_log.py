"""The log of what was served: off by default, a line for each scored row, nothing elsewhere."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lab.learn import utc_now
from tests.exercise_04.serving_shop import Body, cold_start, payments, running_api
from tests.shop import Shop

BOTH = pytest.mark.parametrize("production", [False, True], ids=["solution", "production"])
NOBODY = {"user_id": "nobody", "merchant_id": "nowhere", "transaction_amount": 10.0}


def lines(folder: Path) -> list[Body]:
    """Return all lines of the log."""
    files = sorted(folder.glob("served*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture(params=[False, True], ids=["solution", "production"])
def logging_api(shop: Shop, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    file = tmp_path / "served.jsonl"
    with cold_start(), running_api(request.param, prediction_log=file) as client:
        yield client


def test_a_line_for_each_scored_row(logging_api: TestClient, tmp_path: Path) -> None:
    batch = [{**payment, "transaction_id": f"txn_{n}"} for n, payment in enumerate(payments(20))]
    answer = logging_api.post("/predict/batch", json={"transactions": [*batch, NOBODY]}).json()
    logged = lines(tmp_path)
    for sent, found, line in zip([*batch, NOBODY], answer["predictions"], logged, strict=True):
        assert line["inputs"] == found["features"] | {
            "transaction_amount": sent["transaction_amount"]
        }
        assert line["score"] == found["fraud_probability"]
        assert line["transaction_id"] == sent.get("transaction_id")
        assert (line["user_id"], line["merchant_id"]) == (sent["user_id"], sent["merchant_id"])
        assert line["service"] == "fraud_detection v2"
        assert line["model"] == "2026-06-01T09:30:00+00:00"
    assert logged[-1]["inputs"]["avg_transaction_amount"] is None
    assert len({(line["request_id"], line["time"]) for line in logged}) == 1


def test_the_callers_request_id_is_logged(logging_api: TestClient, tmp_path: Path) -> None:
    logging_api.post("/predict", json=NOBODY, headers={"X-Request-ID": "gateway-7"})
    logging_api.post("/predict", json=NOBODY)
    first, second = lines(tmp_path)
    assert first["request_id"] == "gateway-7"
    assert len(second["request_id"]) == 32


def test_a_refused_request_is_not_logged(logging_api: TestClient, tmp_path: Path) -> None:
    answer = logging_api.post("/predict", json=NOBODY | {"transaction_amount": -1})
    assert answer.status_code == 422
    assert logging_api.post("/predict", json=NOBODY | {"transaction_id": ""}).status_code == 422
    assert lines(tmp_path) == []


@BOTH
def test_no_other_log_has_a_line(
    shop: Shop, tmp_path: Path, production: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for file in (tmp_path / "served.jsonl", None):
        with cold_start(), running_api(production, prediction_log=file) as client:
            assert client.post("/predict", json=NOBODY).status_code == 200
    assert len(lines(tmp_path)) == 1
    assert "nobody" not in caplog.text


@BOTH
def test_a_full_disk_fails_no_prediction_and_shows_no_customer(
    shop: Shop,
    production: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "served.jsonl"
    todays = tmp_path / f"served-{utc_now():%Y-%m-%d}-{os.getpid()}.jsonl"
    for name in (file, todays):
        name.symlink_to("/dev/full")
    with cold_start(), running_api(production, prediction_log=file) as client:
        assert client.post("/predict", json=NOBODY).status_code == 200
    assert "No space left on device" in caplog.text
    assert "nobody" not in caplog.text + "".join(capfd.readouterr())
