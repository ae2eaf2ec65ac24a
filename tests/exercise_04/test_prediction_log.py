"""The prediction log: off by default, a line for each scored row, nothing elsewhere."""

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exercise_01_setup.feature_repo.missing_values import MAX_PROGRESS_AGE_S
from exercise_04_serving.app.model import PredictionLog
from lab.learn import LearnerSettings, UserError, utc_now
from tests.exercise_04.serving_shop import (
    NOBODY,
    Body,
    cache_database,
    cold_start,
    payments,
    publish_progress,
    running_api,
)
from tests.shop import PROJECT, Shop

each_service = pytest.mark.parametrize("production", [False, True], ids=["solution", "production"])


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
    assert [file.stat().st_mode & 0o777 for file in tmp_path.glob("served*.jsonl")] == [0o600]


def test_the_callers_request_id_is_logged_and_no_refused_request(
    logging_api: TestClient, tmp_path: Path
) -> None:
    for wrong in ({"transaction_amount": -1}, {"transaction_id": ""}):
        assert logging_api.post("/predict", json=NOBODY | wrong).status_code == 422
    for sent in ({"X-Request-ID": "gateway-7"}, {"X-Request-ID": "7" * 5_000}, {}):
        logging_api.post("/predict", json=NOBODY, headers=sent)
    found = [line["request_id"] for line in lines(tmp_path)]
    assert found[0] == "gateway-7"
    assert [len(request_id) for request_id in found[1:]] == [128, 32]


def test_a_line_that_a_full_disk_has_cut_costs_no_other(
    logging_api: TestClient, tmp_path: Path
) -> None:
    logging_api.post("/predict", json=NOBODY)
    (file,) = tmp_path.glob("served*.jsonl")
    with file.open("a") as log:
        log.write('{"time": "2026')
    logging_api.post("/predict", json=NOBODY)
    whole, cut, after = file.read_text().splitlines()
    assert json.loads(whole)["inputs"] == json.loads(after)["inputs"]
    assert cut == '{"time": "2026'


def test_lines_of_several_services_in_one_file_stay_whole(tmp_path: Path) -> None:
    logs = [PredictionLog(tmp_path / "served.jsonl") for _ in range(4)]
    batch = [{"padding": "x" * 1_000} for _ in range(100)]
    with ThreadPoolExecutor(len(logs)) as threads:
        for _ in range(20):
            threads.map(lambda log: log.append(batch), logs)
    assert lines(tmp_path) == batch * 20 * len(logs)


@each_service
def test_off_by_default_and_in_no_other_log(
    shop: Shop, tmp_path: Path, production: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert LearnerSettings.model_fields["prediction_log"].default is None
    caplog.set_level(logging.DEBUG)
    for file in (tmp_path / "served.jsonl", None):
        with cold_start(), running_api(production, prediction_log=file) as client:
            assert client.post("/predict", json=NOBODY).status_code == 200
    assert len(lines(tmp_path)) == 1
    assert "nobody" not in caplog.text


@each_service
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


def test_a_service_with_a_file_that_cannot_be_written_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone/served\.jsonl cannot be written"):
        PredictionLog(tmp_path / "gone" / "served.jsonl")


# ---- What production adds ----------------------------------------------------------------------


@contextmanager
def traced(tmp_path: Path) -> Iterator[TestClient]:
    """Yield production's API with a log and an empty cache."""
    cache_database().flushdb()
    with cold_start(), running_api(prediction_log=tmp_path / "served.jsonl") as client:
        yield client


def last_flags(client: TestClient, folder: Path, payment: Body) -> list[str]:
    """Return the flags of one more prediction."""
    client.post("/predict", json=payment)
    flags: list[str] = lines(folder)[-1]["flags"]
    return flags


def test_a_line_has_times_and_flags(shop: Shop, tmp_path: Path) -> None:
    batch, redis = payments(50), shop.redis.client()
    ends = f"materialized_until:{PROJECT}"
    publish_progress()
    with traced(tmp_path) as client:
        client.post("/predict/batch", json={"transactions": batch})
        line, payment = next(
            pair for pair in zip(lines(tmp_path), batch, strict=True) if pair[0]["flags"] == []
        )
        client.post("/predict", json=payment)
        assert lines(tmp_path)[-1]["event_times"] == line["event_times"]  # of the cached row
        stored = redis.hget(ends, "merchant_risk_features").decode()
        assert line["materialized_until"]["merchant_risk_features"] == stored
        times = line["event_times"]
        assert times["user_streaming_features"] is None
        assert times["merchant_risk_features"] <= stored
        assert last_flags(client, tmp_path, NOBODY) == ["unknown"]
    publish_progress(MAX_PROGRESS_AGE_S + 1)
    redis.hset(ends, "merchant_risk_features", (utc_now() - timedelta(hours=4)).isoformat())
    with traced(tmp_path) as client:
        assert last_flags(client, tmp_path, payment) == ["unknown", "stale"]


def test_old_files_of_all_processes_are_deleted(shop: Shop, tmp_path: Path) -> None:
    """Also under a name with brackets; one that cannot be deleted costs no line."""

    def name(days: int, process: int) -> str:
        return f"served[1]-{utc_now() - timedelta(days=days):%Y-%m-%d}-{process}.jsonl"

    for other in (name(31, 7), name(31, 8), name(29, 7), "served[1]-2026-notes.jsonl"):
        (tmp_path / other).touch()
    (tmp_path / name(32, 7)).mkdir()
    file = tmp_path / "served[1].jsonl"
    with cold_start(), running_api(prediction_log=file, prediction_log_days=30) as client:
        client.post("/predict", json=NOBODY)
    todays = name(0, os.getpid())
    expected = {"served[1]-2026-notes.jsonl", name(29, 7), name(32, 7), todays}
    assert {file.name for file in tmp_path.iterdir()} == expected
    assert (tmp_path / todays).read_text().count("\n") == 1
